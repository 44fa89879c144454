//! The skills of a run: the tool that loads them, their list in the system prompt, and their folders in the sandbox.

use std::sync::Arc;

use super::{Extra, notify};
pub(in super::super) use crate::skills::tool::NAME;
use crate::{
    accounts::Scope,
    agents::{tools::Access, version::Instructions},
    app::App,
    error::{Code, Result},
    runs::{Run, RunLog},
    sandbox::ReadOnlyFolder,
    skills::{
        attached::{describe, find},
        folder,
        tool::{LoadSkill, RunSkill, section},
    },
    v1::NoticeKind,
};

/// The run gets a notice for each skill that no longer exists.
pub(in super::super) async fn add(
    app: &App,
    run: &Run,
    agent: &Instructions,
    access: Access<'_>,
    log: &Arc<RunLog>,
    extra: &mut Extra,
) -> Result<()> {
    let scope = Scope::account(run.account_id);
    let mut skills = Vec::new();
    for (attached, version) in find(app.db.read(), scope, &agent.skills).await? {
        let folder = match &version {
            Some(version) => folder::ensure(app, scope, version.id).await.map(Some),
            None => Ok(None),
        };
        match (version, folder) {
            (Some(version), Ok(Some(folder))) => skills.push(RunSkill {
                name: attached.name.clone(),
                description: version.description,
                folder,
            }),
            (_, Err(fault)) if fault.code() != Code::SkillNotFound => return Err(fault),
            _ => {
                let message = format!(
                    "The {} was deleted, so this run continues without it. Upload it again, or remove it from the agent.",
                    describe(attached)
                );
                notify(log, NoticeKind::Other, &message);
            }
        }
    }
    if skills.is_empty() {
        return Ok(());
    }
    let has_sandbox = access.allows_sandbox();
    let prompt_bytes = app.config.skills.prompt_bytes;
    extra.sections.push(section(&skills, has_sandbox, prompt_bytes));
    extra.folders.extend(skills.iter().map(|skill| ReadOnlyFolder {
        folder: skill.folder.clone(),
        inside: skill.mounted_at(),
    }));
    extra.tools.push(Arc::new(LoadSkill::new(skills, has_sandbox)));
    Ok(())
}
