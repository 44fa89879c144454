//! Sets the last-activity time of a thread and its project, which moves both to the top of their lists.

use chrono::{DateTime, Utc};

use super::table::thread::Model;
use crate::{
    db::{Bound, Sql},
    projects,
};

const MOVE: Sql = Sql::new("UPDATE threads SET updated_at = $1 WHERE account_id = $2 AND id = $3");
const MOVE_AND_NAME: Sql =
    Sql::new("UPDATE threads SET updated_at = $1, name = $2, name_is_automatic = $3 WHERE account_id = $4 AND id = $5");

/// A new name of a thread.
#[derive(Clone, Debug)]
pub struct Naming {
    pub name: String,
    /// True if a suggestion may replace the name.
    pub is_automatic: bool,
}

/// Builds the update statements. If a name is given, the first statement also sets the name.
pub fn moved(thread: &Model, naming: Option<Naming>, at: DateTime<Utc>) -> Vec<Bound> {
    let (account_id, id) = (thread.account_id.into(), thread.id.into());
    let update = match naming {
        Some(Naming { name, is_automatic }) => {
            MOVE_AND_NAME.with([at.into(), name.into(), is_automatic.into(), account_id, id])
        }
        None => MOVE.with([at.into(), account_id, id]),
    };
    vec![update, projects::moved(thread.account_id, thread.project_id, at)]
}
