//! The embedding models, remembered: a model's name and length never change, so that only a name that nobody knew yet is
//! looked up.

use std::sync::{Arc, PoisonError, RwLock};

use db::Db;

use crate::domain::embedding::{Model, TEXT};
use crate::store::embedding_models;

/// Text embeddings are of this model where nothing is said.
pub(crate) const DEFAULT_MODEL: &str = "text-1536";

/// What is known of the models.
#[derive(Clone, Debug, Default)]
pub(crate) struct Models(Arc<RwLock<Vec<Model>>>);

impl Models {
    /// The text models of these names; `None` for what is no name of one. Whether they are still active, the statement
    /// that stores embeddings asks.
    pub(crate) async fn texts(&self, db: &Db, names: &[&str]) -> Result<Vec<Option<Model>>, db::Error> {
        let known: Vec<_> = names.iter().map(|name| self.known(name)).collect();
        if known.iter().all(Option::is_some) {
            return Ok(known);
        }
        let all = embedding_models::all(db).await?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(names.iter().map(|name| self.known(name)).collect())
    }

    fn known(&self, name: &str) -> Option<Model> {
        let models = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut texts = models.iter().filter(|model| model.purpose == TEXT);
        texts.find(|model| model.name == name).cloned()
    }
}
