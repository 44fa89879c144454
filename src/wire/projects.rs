//! Implements the gRPC service `ProjectService`.

use futures::FutureExt;
use tonic::{Request, Response, Status};

use super::{caller, page::Page, traits::runyard::v1::project_service_server::ProjectService, write};
use crate::{
    app::App,
    error::Result,
    events::timestamp,
    id,
    projects::{self, Project},
    runs::remove,
    v1,
};

#[derive(Clone)]
pub struct Projects {
    pub(super) app: App,
}

#[tonic::async_trait]
impl ProjectService for Projects {
    async fn list_projects(
        &self,
        request: Request<v1::ListProjectsRequest>,
    ) -> Result<Response<v1::ListProjectsResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        let page = Page::read(&caller, &mut asked)?;
        let rows = projects::list(self.app.db.read(), caller.scope(), page.after, page.limit()).await?;
        let (rows, next_page_token) = page.cut(rows, |project| (project.row.updated_at, project.row.id));
        Ok(Response::new(v1::ListProjectsResponse {
            projects: rows.into_iter().map(shown).collect(),
            next_page_token,
        }))
    }

    async fn get_project(&self, request: Request<v1::GetProjectRequest>) -> Result<Response<v1::Project>, Status> {
        let (caller, asked) = caller::open(request)?;
        let project_id = id::parse("project_id", &asked.project_id)?;
        let project = projects::load(self.app.db.read(), caller.scope(), project_id).await?;
        Ok(Response::new(shown(project)))
    }

    async fn delete_project(&self, request: Request<v1::DeleteProjectRequest>) -> Result<Response<()>, Status> {
        let (caller, asked) = caller::open(request)?;
        let project_id = id::parse("project_id", &asked.project_id)?;
        write(&self.app, caller, move |app, caller| {
            remove::project(app, caller, project_id).boxed()
        })
        .await?;
        Ok(Response::new(()))
    }
}

fn shown(project: Project) -> v1::Project {
    v1::Project {
        project_id: project.row.id.to_string(),
        name: project.row.name,
        sandbox_id: project.sandbox_id.map(|sandbox_id| sandbox_id.to_string()),
        created_at: Some(timestamp(project.row.created_at)),
        updated_at: Some(timestamp(project.row.updated_at)),
    }
}
