//! Implements the gRPC service `SkillService`.

use bytes::Bytes;
use futures::FutureExt;
use tonic::{Request, Response, Status};

use super::{caller, page::Page, traits::runyard::v1::skill_service_server::SkillService, write};
use crate::{
    accounts::Caller,
    agents::rules::read,
    app::App,
    error::{Error, Result},
    events::timestamp,
    id,
    skills::{self, Details, MAX_ARCHIVE_BYTES, Skill, SkillVersion},
    uploads, v1,
};

#[derive(Clone)]
pub struct Skills {
    pub(super) app: App,
}

#[tonic::async_trait]
impl SkillService for Skills {
    async fn create_skill(&self, request: Request<v1::CreateSkillRequest>) -> Result<Response<v1::Skill>, Status> {
        let (caller, asked) = caller::open(request)?;
        let details = write(&self.app, caller, move |app, caller| create(app, caller, asked).boxed()).await?;
        Ok(Response::new(shown_details(details)?))
    }

    async fn list_skills(
        &self,
        request: Request<v1::ListSkillsRequest>,
    ) -> Result<Response<v1::ListSkillsResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        let page = Page::read(&caller, &mut asked)?;
        let rows = skills::list(self.app.db.read(), caller.scope(), page.after, page.limit()).await?;
        let (rows, next_page_token) = page.cut(rows, |skill| skill.row.id);
        let shown = |skill: Skill| {
            let current = skill.version.number;
            shown(skill, current)
        };
        Ok(Response::new(v1::ListSkillsResponse {
            skills: rows.into_iter().map(shown).collect::<Result<_>>()?,
            next_page_token,
        }))
    }

    async fn get_skill(&self, request: Request<v1::GetSkillRequest>) -> Result<Response<v1::Skill>, Status> {
        let (caller, asked) = caller::open(request)?;
        let skill_id = id::parse("skill_id", &asked.skill_id)?;
        let (db, scope) = (self.app.db.read(), caller.scope());
        let skill = skills::load(db, scope, skill_id, number(asked.version)?).await?;
        let details = skills::list::details(db, scope, skill).await?;
        Ok(Response::new(shown_details(details)?))
    }

    async fn delete_skill(&self, request: Request<v1::DeleteSkillRequest>) -> Result<Response<()>, Status> {
        let (caller, asked) = caller::open(request)?;
        let skill_id = id::parse("skill_id", &asked.skill_id)?;
        let number = number(asked.version)?;
        write(&self.app, caller, move |app, caller| {
            skills::delete(app, caller, skill_id, number).boxed()
        })
        .await?;
        Ok(Response::new(()))
    }
}

fn number(version: i32) -> Result<Option<i32>> {
    match version {
        0 => Ok(None),
        1.. => Ok(Some(version)),
        _ => Err(Error::invalid_field("version", "version must not be negative")),
    }
}

async fn create(app: &App, caller: &Caller, asked: v1::CreateSkillRequest) -> Result<Details> {
    let upload_id = match (asked.archive.is_empty(), asked.files.as_slice()) {
        (false, []) => return skills::create(app, caller, asked.archive).await,
        (true, [upload_id]) => id::parse("files", upload_id)?,
        _ => {
            let message = "send one zip archive, either in archive or as one upload in files";
            return Err(Error::invalid_field("archive", message));
        }
    };
    let archive: Bytes = uploads::take::content(app, caller.scope(), upload_id, MAX_ARCHIVE_BYTES).await?;
    let details = skills::create(app, caller, archive).await?;
    uploads::receive::discard(app, caller.scope(), &[upload_id]).await?;
    Ok(details)
}

fn shown_details(details: Details) -> Result<v1::Skill> {
    let version = |version: SkillVersion| v1::SkillVersion {
        version: version.number,
        description: version.description,
        archive_bytes: version.archive_bytes,
        created_at: Some(timestamp(version.created_at)),
    };
    let file = |file: skills::SkillFile| v1::SkillFile {
        path: file.path,
        size: i64::try_from(file.size).unwrap_or(i64::MAX),
        executable: file.executable,
    };
    Ok(v1::Skill {
        instructions: details.instructions,
        files: details.files.into_iter().map(file).collect(),
        versions: details.versions.into_iter().map(version).collect(),
        ..shown(details.skill, details.current)?
    })
}

fn shown(skill: Skill, current_version: i32) -> Result<v1::Skill> {
    let Skill { row, version } = skill;
    Ok(v1::Skill {
        skill_id: row.id.to_string(),
        name: row.name,
        version: version.number,
        current_version,
        description: version.description,
        license: version.license,
        compatibility: version.compatibility,
        metadata: read(&version.metadata)?,
        allowed_tools: read(&version.allowed_tools)?,
        archive_bytes: version.archive_bytes,
        unpacked_bytes: version.unpacked_bytes,
        created_at: Some(timestamp(row.created_at)),
        updated_at: Some(timestamp(row.updated_at)),
        ..v1::Skill::default()
    })
}
