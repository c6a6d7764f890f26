//! `migrate …` of every service's binary.

use std::io::Write;
use std::path::Path;

use clap::Subcommand;
use secrecy::SecretString;

use super::{MigrateError, Migrations, Session, Step};

/// What to do with a schema's migrations.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Write an empty forward file and its undo file into migrations/<schema>/.
    New {
        /// In lower case, words joined by underscores: what the migration does.
        name: String,
    },
    /// Apply what is pending.
    Up {
        /// Stop after this version.
        #[arg(long)]
        to: Option<i64>,
    },
    /// Undo the newest migrations with their undo files. Undoing loses the data that only the newer schema holds.
    Down {
        /// How many to undo.
        #[arg(long, default_value_t = 1)]
        steps: usize,
    },
    /// List every migration and whether it is applied.
    Status,
    /// List what was applied and when.
    History,
    /// Record every migration up to a version as applied without running it.
    Stamp {
        /// The version that the schema already has.
        version: i64,
    },
}

/// Runs a command on a schema as the owner role and prints what it did.
///
/// # Errors
/// In words for the operator.
pub async fn run(
    command: &Command,
    schema: &'static str,
    migrations: &Migrations,
    owner_url: &SecretString,
    out: &mut dyn Write,
) -> Result<(), MigrateError> {
    if let Command::New { name } = command {
        return new(
            Path::new("migrations").join(schema).as_path(),
            migrations.latest_version() + 1,
            name,
            out,
        );
    }
    let mut session = Session::open(owner_url, schema).await?;
    let (verb, steps) = match command {
        Command::New { .. } => return Ok(()),
        Command::Up { to } => ("applied", session.up(migrations, *to).await?),
        Command::Down { steps } => ("undone", session.down(migrations, *steps).await?),
        Command::Status => ("", session.status(migrations).await?),
        Command::History => ("", session.history().await?),
        Command::Stamp { version } => {
            session.stamp(migrations, *version).await?;
            ("stamped", session.history().await?)
        }
    };
    report(out, schema, verb, &steps)
}

fn report(out: &mut dyn Write, schema: &str, verb: &str, steps: &[Step]) -> Result<(), MigrateError> {
    let failed = |source| MigrateError::Io {
        path: "standard output".to_owned(),
        source,
    };
    if steps.is_empty() {
        return writeln!(out, "{schema}: nothing to do").map_err(failed);
    }
    for step in steps {
        let state = match (verb, &step.applied_on) {
            ("", Some(at)) => format!("applied {at}"),
            ("", None) => "pending".to_owned(),
            (verb, _) => verb.to_owned(),
        };
        writeln!(out, "{schema} V{:03} {:<40} {state}", step.version, step.name).map_err(failed)?;
    }
    Ok(())
}

fn new(folder: &Path, version: i64, name: &str, out: &mut dyn Write) -> Result<(), MigrateError> {
    let named = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !named {
        return Err(MigrateError::Request(
            "a name is of lower-case letters, digits and underscores".to_owned(),
        ));
    }
    for (prefix, hint) in [
        (
            'V',
            "-- What this changes, and why. A release works with the schema before and after: expand, then contract.",
        ),
        ('U', "-- Undoes the forward file of the same number."),
    ] {
        let path = folder.join(format!("{prefix}{version:03}__{name}.sql"));
        let failed = |source| MigrateError::Io {
            path: path.display().to_string(),
            source,
        };
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|mut file| writeln!(file, "{hint}"))
            .map_err(failed)?;
        writeln!(out, "{}", path.display()).map_err(failed)?;
    }
    Ok(())
}
