//! The Spellcheck Service as a process.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use service_kit::{Settings, Texts};
use spellcheck::Spellcheck;
use spellcheck::spelling::Dictionaries;

/// Checks the spelling of essays.
#[derive(Debug, Parser)]
#[command(name = "spellcheck", version)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,

    /// The folder with Hunspell's dictionaries `en_US` and `sv_SE`. On Debian: apt install hunspell-en-us hunspell-sv
    #[arg(
        long,
        value_name = "PATH",
        env = "DICTIONARIES",
        default_value = "/usr/share/hunspell"
    )]
    dictionaries: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments {
        settings,
        dictionaries,
    } = Arguments::parse();
    let texts = Texts::new(&settings.content_dir);
    match Dictionaries::read(&dictionaries) {
        Ok(dictionaries) => {
            let dictionaries = Arc::new(dictionaries);
            service_kit::main(settings, Spellcheck { texts, dictionaries }).await
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
