//! `ProjectService`: each method converts messages and calls one domain function.

use tonic::{Request, Response, Status};

use super::{
    caller,
    page::{self, Page},
    traits::runyard::v1::project_service_server::ProjectService,
};
use crate::{
    app::App,
    error::Result,
    events::timestamp,
    id,
    projects::{self, Project},
    runs::remove,
    v1,
};

/// Implements `ProjectService`.
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
        let caller = caller::of(&request)?;
        let asked = request.into_inner();
        let page = Page::read(&caller, "projects by activity", asked.page_size, &asked.page_token)?;
        let mut rows = projects::list(self.app.db.read(), caller.scope(), page.after_activity()?, page.limit()).await?;
        let next_page_token = page.cut(&mut rows, |project| {
            page::activity(project.row.updated_at, project.row.id)
        });
        Ok(Response::new(v1::ListProjectsResponse {
            projects: rows.into_iter().map(shown).collect(),
            next_page_token,
        }))
    }

    async fn get_project(&self, request: Request<v1::GetProjectRequest>) -> Result<Response<v1::Project>, Status> {
        let caller = caller::of(&request)?;
        let project_id = id::parse("project_id", &request.get_ref().project_id)?;
        let project = projects::load(self.app.db.read(), caller.scope(), project_id).await?;
        Ok(Response::new(shown(project)))
    }

    async fn delete_project(&self, request: Request<v1::DeleteProjectRequest>) -> Result<Response<()>, Status> {
        let caller = caller::of(&request)?;
        let project_id = id::parse("project_id", &request.get_ref().project_id)?;
        let app = self.app.clone();
        super::finish(async move { remove::project(&app, &caller, project_id).await }).await?;
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
