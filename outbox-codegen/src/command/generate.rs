//! `outbox generate …`: catalog in, files out.

use super::print;
use crate::Exit;
use crate::arguments::{Generate, GenerateMigration, Generated};
use crate::artifact;
use crate::failure::Failure;
use crate::migration::plan;

pub(crate) fn run(arguments: Generate) -> Result<Exit, Failure> {
    match arguments.what {
        Generated::Migration(arguments) => migration(&arguments),
    }
}

fn migration(arguments: &GenerateMigration) -> Result<Exit, Failure> {
    let (directory, plan) = (&arguments.dir, plan(arguments)?);
    let files = plan.files();
    if arguments.check {
        artifact::check(directory, &files)?;
        plan.refuse_surplus(directory, Exit::Differences)?;
        print(up_to_date(files.len()))?;
        return Ok(Exit::Done);
    }
    plan.refuse_surplus(directory, Exit::Failed)?;
    let edited = artifact::edited(directory, &plan.older)?;
    if !edited.is_empty() && !arguments.force {
        return Err(Failure::failed(format!(
            "these files are of an older step and are not what was written then:\n  {}",
            edited.join("\n  ")
        ))
        .advise(
            "put them back, because tools refuse a migration that was changed after it was applied; --force \
             goes on and leaves them as they are",
        ));
    }
    for difference in &edited {
        eprintln!("left as it is: {difference}");
    }
    let newest = artifact::write(directory, &plan.newest, arguments.force)?;
    let written = [artifact::write_missing(directory, &plan.older)?, newest].concat();
    if written.is_empty() {
        print(format_args!("nothing to do: {}", up_to_date(files.len())))?;
    }
    for path in written {
        print(format_args!("wrote {}", path.display()))?;
    }
    Ok(Exit::Done)
}

fn up_to_date(files: usize) -> String {
    match files {
        1 => "the file is up to date".to_owned(),
        _ => format!("the {files} files are up to date"),
    }
}
