//! Pages of what there is of one client, newest first.

use db::{Actor, Row};
use web::{Caller, CursorKey, Newest, Page, Paging};

use crate::error::Error;
use crate::state::State;

/// A list of one client, as somebody who sees the client asks for it.
pub(super) struct OfClient<'a> {
    /// What is listed, as its cursors know it.
    pub(super) what: &'static str,
    pub(super) user_id: &'a str,
    pub(super) caller: &'a Caller,
    pub(super) actor: &'a Actor,
    pub(super) cursors: &'a CursorKey,
    pub(super) paging: &'a Paging,
}

impl OfClient<'_> {
    /// One page. The statement takes the client, the row to go on behind (`$2`, `$3`) and a limit, then what else is given.
    pub(super) async fn page<T>(
        &self,
        state: &State,
        (sql, more): (&str, db::Params<'_>),
        from_row: impl Fn(&Row) -> Result<T, db::Error>,
        position: impl Fn(&T) -> Newest,
    ) -> Result<Page<T>, Error> {
        let listed = format!("{} of {}", self.what, self.user_id);
        let Newest(at, id) = self
            .cursors
            .open(&listed, self.caller, self.paging)?
            .unwrap_or_default();
        let limit = self.paging.limit + 1;
        let behind: db::Params<'_> = &[&self.user_id, &at, &id, &limit];
        let params = [behind, more].concat();
        let rows = state.db.read(self.actor, sql, &params).await?;
        let found = rows.iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(found, self.paging.limit, |last| {
            self.cursors
                .seal(&listed, self.caller, self.paging, &position(last))
        }))
    }
}
