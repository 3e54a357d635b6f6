//! Why PostgreSQL and a client do not come together, where waiting changes nothing, and what to do about it.

use std::io::ErrorKind;

/// Why a connection was refused, by the server or by ourselves.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What happened.
    pub what: &'static str,
    /// What to do about it.
    pub advice: &'static str,
}

const fn refusal(what: &'static str, advice: &'static str) -> Refusal {
    Refusal { what, advice }
}

const PASSWORD: Refusal = refusal(
    "the database refuses the role's password",
    "check user and password in the URL, PGPASSWORD, or the file of the password",
);
const ROLE: Refusal = refusal(
    "the database does not let this role in",
    "its own words name what its pg_hba.conf asks for: another role, an encrypted connection (`sslmode=require` in the \
     URL), or a client's certificate (`sslcert` and `sslkey`)",
);
const NO_TLS_HERE: Refusal = refusal(
    "the connection is to be encrypted, and this build cannot do that",
    "build with the cargo feature `tls`",
);
const NO_TLS_THERE: Refusal = refusal(
    "the connection is to be encrypted, and the database does not do that",
    "turn `ssl` on at the server, or leave `sslmode` at `prefer` if nobody can listen on the way",
);
const ISSUER: Refusal = refusal(
    "the database's certificate is not signed by an authority that is trusted here",
    "name the file with the authority's certificate: `sslrootcert=path` in the URL, or PGSSLROOTCERT",
);
const NAME: Refusal = refusal(
    "the database's certificate is for another host name",
    "use a host name that is in the certificate; `sslmode=verify-ca` does not compare it",
);
const CERTIFICATE: Refusal = refusal(
    "the encrypted connection was refused",
    "check the certificates at both ends: the server's, `sslrootcert`, `sslcert` and `sslkey`",
);
const FILE: Refusal = refusal(
    "a file of certificates cannot be used",
    "check the paths and contents of `sslrootcert`, `sslcert` and `sslkey` in the URL, or of PGSSLROOTCERT, PGSSLCERT \
     and PGSSLKEY: PEM, readable for this user",
);

/// Whether the connection was refused. `socket`: over one, so that there are no certificates.
#[doc(hidden)]
pub fn refused(error: &sqlx::Error, socket: bool) -> Option<Refusal> {
    match error {
        sqlx::Error::Database(error) => match error.code()?.as_ref() {
            "28P01" => Some(PASSWORD),
            // invalid_authorization_specification, and what may be added to it.
            code if code.starts_with("28") => Some(ROLE),
            _ => None,
        },
        sqlx::Error::Tls(error) => {
            let says = error.to_string();
            Some(match says.as_str() {
                says if says.contains("without TLS support") => NO_TLS_HERE,
                says if says.contains("does not support TLS") => NO_TLS_THERE,
                _ => FILE,
            })
        }
        sqlx::Error::Configuration(_) => Some(FILE),
        // Where TLS finds fault with what comes from the other end.
        sqlx::Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
            let says = error.to_string();
            Some(match says.as_str() {
                says if says.contains("UnknownIssuer") => ISSUER,
                says if says.contains("not valid for") || says.contains("NotValidForName") => NAME,
                _ => CERTIFICATE,
            })
        }
        sqlx::Error::Io(error) if !socket => match error.kind() {
            ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::IsADirectory => Some(FILE),
            _ => None,
        },
        _ => None,
    }
}
