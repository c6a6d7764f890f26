//! The migration files of a schema, from the binary they were built into or from their folder.

use std::path::Path;

use include_dir::Dir;
use refinery::Migration;

use super::MigrateError;

const UNDO_PREFIX: char = 'U';
const FORWARD_PREFIX: char = 'V';
const OUTSIDE_TRANSACTION: &str = ".notx.sql";
const ENDING: &str = ".sql";

/// Where the files of a schema come from.
pub enum Files<'a> {
    /// Built into the binary.
    Embedded(&'a Dir<'a>),
    /// Read from the source tree.
    Folder(&'a Path),
}

/// The migration files of one schema, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Migrations {
    files: Vec<File>,
}

#[derive(Clone, Debug)]
struct File {
    name: String,
    sql: String,
}

impl File {
    /// The number between the prefix and the two underscores.
    fn version(&self) -> Option<i64> {
        self.name.get(1..)?.split_once("__")?.0.parse().ok()
    }

    /// `V001__name`, as refinery wants it.
    fn stem(&self) -> &str {
        self.name
            .trim_end_matches(OUTSIDE_TRANSACTION)
            .trim_end_matches(ENDING)
    }
}

impl Migrations {
    /// Reads every `.sql` file.
    ///
    /// # Errors
    /// When a file cannot be read or is not UTF-8.
    pub fn load(files: &Files<'_>) -> Result<Self, MigrateError> {
        let mut files = match files {
            Files::Embedded(dir) => embedded(dir)?,
            Files::Folder(path) => folder(path)?,
        };
        files.retain(|file| file.name.ends_with(ENDING));
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { files })
    }

    /// The number of the newest forward file; 0 where there is none.
    #[must_use]
    pub fn latest_version(&self) -> i64 {
        self.with_prefix(FORWARD_PREFIX)
            .filter_map(File::version)
            .max()
            .unwrap_or(0)
    }

    pub(super) fn forward(&self) -> Result<Vec<Migration>, MigrateError> {
        self.with_prefix(FORWARD_PREFIX)
            .map(|file| Migration::unapplied(file.stem(), &file.sql).map_err(MigrateError::from))
            .collect()
    }

    pub(super) fn undo(&self, version: i64) -> Option<&str> {
        self.with_prefix(UNDO_PREFIX)
            .find(|file| file.version() == Some(version))
            .map(|file| file.sql.as_str())
    }

    /// The SQL of a forward file that must run outside a transaction.
    pub(super) fn outside_transaction(&self, version: i64) -> Option<&str> {
        self.with_prefix(FORWARD_PREFIX)
            .find(|file| file.version() == Some(version) && file.name.ends_with(OUTSIDE_TRANSACTION))
            .map(|file| file.sql.as_str())
    }

    fn with_prefix(&self, prefix: char) -> impl Iterator<Item = &File> {
        self.files
            .iter()
            .filter(move |file| file.name.starts_with(prefix))
    }
}

fn embedded(dir: &Dir<'_>) -> Result<Vec<File>, MigrateError> {
    dir.files()
        .map(|file| {
            let name = file.path().to_string_lossy().into_owned();
            match file.contents_utf8() {
                Some(sql) => Ok(File {
                    name,
                    sql: sql.to_owned(),
                }),
                None => Err(MigrateError::Request(format!("{name} is not UTF-8"))),
            }
        })
        .collect()
}

fn folder(path: &Path) -> Result<Vec<File>, MigrateError> {
    let failed = |source| MigrateError::Io {
        path: path.display().to_string(),
        source,
    };
    std::fs::read_dir(path)
        .map_err(failed)?
        .map(|entry| {
            let entry = entry.map_err(failed)?;
            let sql = std::fs::read_to_string(entry.path()).map_err(failed)?;
            Ok(File {
                name: entry.file_name().to_string_lossy().into_owned(),
                sql,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migrations(names: &[&str]) -> Migrations {
        let files = names.iter().map(|name| File {
            name: (*name).to_owned(),
            sql: format!("-- {name}"),
        });
        Migrations {
            files: files.collect(),
        }
    }

    #[test]
    fn undo_files_are_not_forward_files() {
        let found = migrations(&["U002__b.sql", "V001__a.sql", "V002__b.sql"]);
        assert_eq!(found.latest_version(), 2);
        assert_eq!(found.forward().map(|files| files.len()).ok(), Some(2));
        assert_eq!(found.undo(2), Some("-- U002__b.sql"));
        assert_eq!(found.undo(1), None);
    }

    #[test]
    fn only_notx_files_run_outside_a_transaction() {
        let found = migrations(&["V001__a.sql", "V002__b.notx.sql"]);
        assert_eq!(found.outside_transaction(1), None);
        assert_eq!(found.outside_transaction(2), Some("-- V002__b.notx.sql"));
        assert_eq!(found.forward().map(|files| files.len()).ok(), Some(2));
    }
}
