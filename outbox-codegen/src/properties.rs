//! librdkafka's properties as `-X` gives them.

use crate::failure::Failure;

/// `key=value`, each parted at its first `=`.
pub(crate) fn read(arguments: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let part = |property: &String| {
        let (key, value) = property.split_once('=').ok_or_else(|| {
            // What stands there may be a password that lost its name.
            Failure::usage("a `-X` has no `=`").advise("write -X key=value, such as -X compression.type=lz4")
        })?;
        Ok((key.trim().to_owned(), value.to_owned()))
    };
    arguments.iter().map(part).collect()
}
