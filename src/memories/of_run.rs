//! The memory of a run: whose memories the run uses, and which of them its prompt contains.

use std::collections::HashSet;

use uuid::Uuid;

use super::{
    Holder, Memory, list,
    search::{self, Part},
};
use crate::{
    accounts::Scope,
    agents::{MemoryScope, MemorySettings},
    app::App,
    engine::compact::estimate_bytes,
    error::Result,
    runs::Run,
};

/// Maximum number of matching memories, and of recent memories, that are considered for a prompt.
const CANDIDATES: u64 = 50;

/// Access of a run to its memories. A run without memory has no value of this type.
#[derive(Clone)]
pub struct RunMemory {
    pub(super) app: App,
    pub(super) account_id: Uuid,
    pub(super) holder: Holder,
    pub(super) run_id: Uuid,
}

impl RunMemory {
    /// Returns `None` if memory is off. The run's `memory_enabled` takes precedence over `settings`. A run without an
    /// agent uses the memories of the account.
    pub fn of(app: &App, run: &Run, settings: MemorySettings) -> Option<Self> {
        if !run.memory_enabled.unwrap_or(settings.enabled) {
            return None;
        }
        let holder = match (settings.scope, run.agent_id) {
            (MemoryScope::Agent, Some(agent_id)) => Holder::Agent(agent_id),
            (MemoryScope::Account, _) | (MemoryScope::Agent, None) => Holder::Account,
        };
        Some(Self {
            app: app.clone(),
            account_id: run.account_id,
            holder,
            run_id: run.id,
        })
    }

    pub(super) fn scope(&self) -> Scope {
        Scope::account(self.account_id)
    }

    /// Returns the memories that the model receives with a prompt. Memories that match the prompt come first, best
    /// match first, then the most recently changed memories. The setting `prompt_tokens` limits the total size.
    pub async fn for_prompt(&self, prompt: &str) -> Result<Vec<Memory>> {
        let most = self.app.config.memory.prompt_tokens;
        if most == 0 {
            return Ok(Vec::new());
        }
        let (db, scope, holder) = (self.app.db.read(), self.scope(), Some(self.holder));
        let part = Part {
            offset: 0,
            limit: CANDIDATES,
        };
        let mut candidates = search::search(db, scope, holder, prompt, part).await?;
        candidates.extend(list::list(db, scope, holder, None, CANDIDATES).await?);
        let (mut chosen, mut tokens) = (HashSet::new(), 0);
        candidates.retain(|memory| {
            let size = estimate_bytes(memory.text.len());
            let fits = tokens + size <= most && chosen.insert(memory.id);
            if fits {
                tokens += size;
            }
            fits
        });
        Ok(candidates)
    }
}
