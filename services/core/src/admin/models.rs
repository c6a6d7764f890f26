//! Models whose embeddings are taken.

use std::io;

use clap::{Args, ValueEnum};
use db::Tx;

use super::Failure;
use crate::domain::embedding::{TEXT, index_name, is_model_name};
use crate::store::embedding_models;

/// No index of half-precision numbers takes longer embeddings.
const MAX_DIMENSIONS: i64 = 4_000;
/// What the column of faces takes.
const FACE_DIMENSIONS: i32 = 512;

/// A model.
#[derive(Args, Clone, Debug)]
pub struct ModelArgs {
    /// 1 to 100 letters, digits, dots, _ or -, as embeddings will name it.
    #[arg(value_parser = name)]
    name: String,
    /// How many numbers its embeddings have; it never changes.
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=MAX_DIMENSIONS))]
    dimensions: i32,
    /// What its embeddings are of.
    #[arg(long)]
    purpose: Purpose,
}

/// What embeddings are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Purpose {
    /// Memories.
    Text,
    /// Faces, of 512 dimensions.
    Face,
}

fn name(text: &str) -> Result<String, &'static str> {
    let good = is_model_name(text).then(|| text.to_owned());
    good.ok_or("must be 1 to 100 letters, digits, dots, _ or -")
}

/// Registers a model and says so. The index of its embeddings is the owner's to make: the operator is told how.
pub(super) async fn run(tx: Tx, args: &ModelArgs, out: &mut (dyn io::Write + Send)) -> Result<(), Failure> {
    let done = add(&tx, args).await?;
    tx.commit().await?;
    Ok(writeln!(out, "{done}")?)
}

async fn add(tx: &Tx, args: &ModelArgs) -> Result<String, Failure> {
    let ModelArgs {
        name,
        dimensions,
        purpose,
    } = args;
    if *purpose == Purpose::Face && *dimensions != FACE_DIMENSIONS {
        return Err(Failure(format!("faces have {FACE_DIMENSIONS} dimensions")));
    }
    let word = if *purpose == Purpose::Text { TEXT } else { "face" };
    if !embedding_models::insert(tx, name, *dimensions, word).await? {
        return Err(Failure(format!("model {name} is registered already")));
    }
    let done = format!("model {name} is registered");
    if *purpose == Purpose::Face {
        return Ok(done);
    }
    let index = index_name(name);
    Ok(format!(
        "{done}; so that searches need not read all its embeddings, run as the owner:
create index concurrently {index} on core.memory_embeddings
    using hnsw ((embedding::public.halfvec({dimensions})) public.halfvec_cosine_ops) with (m = 16, ef_construction = 128)
    where embedding_model = '{name}';"
    ))
}
