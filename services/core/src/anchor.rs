//! The copy of the audit's seals outside Postgres: a file that lines are only ever appended to.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::domain::seal::{Hash, Link, Seal};

/// Its owner reads and writes, nobody else.
const FILE_MODE: u32 = 0o600;
/// No line is longer, in bytes.
const MAX_LINE_BYTES: u64 = 512;

/// The file.
#[derive(Clone, Debug)]
pub(crate) struct Anchor(PathBuf);

/// One line of it.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    seq: i64,
    #[serde(with = "hex::serde")]
    hash: Hash,
    #[serde(with = "hex::serde")]
    mac: Hash,
}

/// What the file says of a stretch of the chain.
#[derive(Debug, Default)]
pub(crate) struct Stretch {
    /// The seals of the stretch, in the file's order.
    pub(crate) links: Vec<Link>,
    /// The last seal that the file knows at all; 0 without any.
    pub(crate) last_seq: i64,
    /// Lines that are none.
    pub(crate) unreadable_lines: u64,
    /// There is no file.
    pub(crate) is_missing: bool,
}

impl Anchor {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The last seal that the file knows, 0 without any; `None` where there is no file.
    pub(crate) async fn last_seq(&self) -> io::Result<Option<i64>> {
        let path = self.0.clone();
        blocking(move || {
            let Some(mut file) = open(&path)? else {
                return Ok(None);
            };
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(2 * MAX_LINE_BYTES)))?;
            let mut tail = String::new();
            file.read_to_string(&mut tail)?;
            // A line that was cut by a crash is not counted, and is written again.
            let last = tail
                .lines()
                .rev()
                .find_map(|line| serde_json::from_str::<Line>(line).ok());
            Ok(Some(last.map_or(0, |line| line.seq)))
        })
        .await
    }

    /// Appends seals, to a new file where there is none, and returns once they are on the disk.
    pub(crate) async fn append(&self, seals: Vec<Seal>) -> io::Result<()> {
        let path = self.0.clone();
        blocking(move || {
            let mut lines = Vec::new();
            for seal in &seals {
                let line = Line {
                    seq: seal.seq,
                    hash: seal.hash,
                    mac: seal.mac,
                };
                serde_json::to_writer(&mut lines, &line)?;
                lines.push(b'\n');
            }
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let mut file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(FILE_MODE)
                .open(&path)?;
            if !ends_with_line_feed(&path)? {
                file.write_all(b"\n")?;
            }
            file.write_all(&lines)?;
            file.sync_data()
        })
        .await
    }

    /// What it says of the seals behind `after` up to `through`.
    pub(crate) async fn stretch(&self, after: i64, through: i64) -> io::Result<Stretch> {
        let path = self.0.clone();
        blocking(move || {
            let mut found = Stretch::default();
            let Some(file) = open(&path)? else {
                found.is_missing = true;
                return Ok(found);
            };
            for line in BufReader::new(file).lines() {
                let line = line?;
                match serde_json::from_str::<Line>(&line) {
                    Ok(line) => {
                        found.last_seq = found.last_seq.max(line.seq);
                        if line.seq > after && line.seq <= through {
                            found.links.push(Link {
                                seq: line.seq,
                                hash: line.hash,
                            });
                        }
                    }
                    Err(_) if line.is_empty() => {}
                    Err(_) => found.unreadable_lines += 1,
                }
            }
            Ok(found)
        })
        .await
    }
}

fn open(path: &PathBuf) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn ends_with_line_feed(path: &PathBuf) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}
