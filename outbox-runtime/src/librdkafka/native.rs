//! The two calls that rdkafka has no safe function for.
//!
//! - A client's token. rdkafka's safe way is an event that asks for a token. Only a caller that polls the client's main
//!   queue sees it. Neither an `AdminClient` nor a consumer that is only asked for metadata does: they would wait for a
//!   token forever. So tokens are set from outside, on all clients alike.
//! - OpenSSL's start. librdkafka lets OpenSSL register a handler that frees everything when the process ends.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char};
use std::time::UNIX_EPOCH;

use rdkafka::ClientContext;
use rdkafka::admin::AdminClient;
use rdkafka::bindings;
use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::producer::{Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafka;

use super::tokens::KafkaToken;

/// Keeps OpenSSL usable until the process is gone. To be called before the first client, and as often as one likes.
///
/// By itself OpenSSL frees what it holds when `main` returns. A client that is left behind then, because its broker does
/// not answer, may be in the middle of a handshake, which crashes the process.
#[cfg(any(feature = "tls", feature = "ssl", feature = "gssapi"))]
pub(super) fn keep_openssl() {
    /// `OPENSSL_INIT_NO_ATEXIT` in `openssl/crypto.h`, since OpenSSL 1.1.1b.
    const NO_ATEXIT: u64 = 0x0008_0000;
    unsafe extern "C" {
        fn OPENSSL_init_crypto(options: u64, settings: *const std::ffi::c_void) -> std::ffi::c_int;
    }
    // SAFETY: the declaration is that of `openssl/crypto.h`, any thread may call it at any time, and no settings are
    // allowed. Should it fail, so does the first use of OpenSSL, which librdkafka reports.
    unsafe {
        OPENSSL_init_crypto(NO_ATEXIT, std::ptr::null());
    }
}

/// This build has no OpenSSL.
#[cfg(not(any(feature = "tls", feature = "ssl", feature = "gssapi")))]
pub(super) fn keep_openssl() {}

/// A client that can be given a token.
pub trait Native {
    /// Its handle.
    fn native(&self) -> Handle;
}

impl<C: ClientContext> Native for AdminClient<C> {
    fn native(&self) -> Handle {
        Handle::of(self.inner())
    }
}

impl<C: ConsumerContext> Native for BaseConsumer<C> {
    fn native(&self) -> Handle {
        Handle::of(self.client())
    }
}

impl<C: ProducerContext + 'static> Native for ThreadedProducer<C> {
    fn native(&self) -> Handle {
        Handle::of(self.client())
    }
}

/// librdkafka's own handle of a client. Whoever keeps one forgets it before the client ends.
#[derive(Debug)]
pub struct Handle(*mut RDKafka);

// SAFETY: librdkafka's calls on a handle may be made from any thread.
unsafe impl Send for Handle {}

impl Handle {
    fn of<C: ClientContext>(client: &Client<C>) -> Self {
        Self(client.native_ptr())
    }

    /// Lets the client log in with this token from now on. Does not block.
    pub(super) fn set_token(&self, token: &KafkaToken) -> Result<(), String> {
        let text = |text: &str| CString::new(text).map_err(|_| "the token holds a NUL".to_owned());
        let since = token.expires_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let expires_at_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        let (value, principal) = (text(&token.value)?, text(&token.principal)?);
        let mut extensions = Vec::new();
        for (name, value) in &token.extensions {
            extensions.extend([text(name)?, text(value)?]);
        }
        let mut pointers: Vec<*const c_char> = extensions.iter().map(|text| text.as_ptr()).collect();
        let mut says = [0; 512];
        // SAFETY: the client is still there, since its handle is forgotten before. All texts live until the call is
        // over, which copies them. The number of extensions is that of names and values together, and the error's
        // buffer has the size that is passed, of which the last byte is a NUL.
        let (code, says) = unsafe {
            let code = bindings::rd_kafka_oauthbearer_set_token(
                self.0,
                value.as_ptr(),
                expires_at_ms,
                principal.as_ptr(),
                pointers.as_mut_ptr(),
                pointers.len(),
                says.as_mut_ptr(),
                says.len(),
            );
            (code, CStr::from_ptr(says.as_ptr()))
        };
        match code {
            bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            _ => Err(says.to_string_lossy().into_owned()),
        }
    }

    /// Lets the client say that there is no token, and why. Does not block.
    pub(super) fn set_failure(&self, why: &str) {
        let Ok(why) = CString::new(why.replace('\0', " ")) else {
            return;
        };
        // SAFETY: the client is still there, since its handle is forgotten before; the text lives until the call is
        // over, which copies it.
        unsafe {
            bindings::rd_kafka_oauthbearer_set_token_failure(self.0, why.as_ptr());
        }
    }
}
