//! Implements the gRPC service `ScheduleService`.

use futures::FutureExt;
use tonic::{Request, Response, Status};

use super::{caller, mask::Mask, page::Page, traits::runyard::v1::schedule_service_server::ScheduleService, write};
use crate::{
    app::App,
    error::{Error, Result},
    events::timestamp,
    id,
    runs::saved::{SavedStart, StartChanges},
    schedules::{self, Changes, NewSchedule, Occurrence, Outcome, Overlap, Schedule, Timetable, history},
    v1,
};

/// Number of next occurrences in an answer.
const UPCOMING: usize = 5;
const DEFAULT_FAILURES: i32 = 5;

#[derive(Clone)]
pub struct Schedules {
    pub(super) app: App,
}

#[tonic::async_trait]
impl ScheduleService for Schedules {
    async fn create_schedule(
        &self,
        request: Request<v1::CreateScheduleRequest>,
    ) -> Result<Response<v1::Schedule>, Status> {
        let (caller, asked) = caller::open(request)?;
        let new = new(asked)?;
        let made = write(&self.app, caller, move |app, caller| {
            schedules::create(app, caller, new).boxed()
        })
        .await?;
        Ok(Response::new(self.shown(made)))
    }

    async fn list_schedules(
        &self,
        request: Request<v1::ListSchedulesRequest>,
    ) -> Result<Response<v1::ListSchedulesResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        let page = Page::read(&caller, &mut asked)?;
        let rows = schedules::list(self.app.db.read(), caller.scope(), page.after, page.limit()).await?;
        let (rows, next_page_token) = page.cut(rows, |row| row.id);
        Ok(Response::new(v1::ListSchedulesResponse {
            schedules: rows.into_iter().map(|row| self.shown(row)).collect(),
            next_page_token,
        }))
    }

    async fn get_schedule(&self, request: Request<v1::GetScheduleRequest>) -> Result<Response<v1::Schedule>, Status> {
        let (caller, asked) = caller::open(request)?;
        let schedule_id = id::parse("schedule_id", &asked.schedule_id)?;
        let row = schedules::load(self.app.db.read(), caller.scope(), schedule_id).await?;
        Ok(Response::new(self.shown(row)))
    }

    async fn update_schedule(
        &self,
        request: Request<v1::UpdateScheduleRequest>,
    ) -> Result<Response<v1::Schedule>, Status> {
        let (caller, asked) = caller::open(request)?;
        let schedule_id = id::parse("schedule_id", &asked.schedule_id)?;
        let changes = changes(asked)?;
        let row = write(&self.app, caller, move |app, caller| {
            schedules::update(app, caller, schedule_id, changes).boxed()
        })
        .await?;
        Ok(Response::new(self.shown(row)))
    }

    async fn delete_schedule(&self, request: Request<v1::DeleteScheduleRequest>) -> Result<Response<()>, Status> {
        let (caller, asked) = caller::open(request)?;
        let schedule_id = id::parse("schedule_id", &asked.schedule_id)?;
        write(&self.app, caller, move |app, caller| {
            schedules::delete(app, caller, schedule_id).boxed()
        })
        .await?;
        Ok(Response::new(()))
    }

    async fn pause_schedule(
        &self,
        request: Request<v1::PauseScheduleRequest>,
    ) -> Result<Response<v1::Schedule>, Status> {
        let (caller, asked) = caller::open(request)?;
        let schedule_id = id::parse("schedule_id", &asked.schedule_id)?;
        let paused = write(&self.app, caller, move |app, caller| {
            schedules::pause(app, caller, schedule_id).boxed()
        })
        .await?;
        Ok(Response::new(self.shown(paused)))
    }

    async fn resume_schedule(
        &self,
        request: Request<v1::ResumeScheduleRequest>,
    ) -> Result<Response<v1::Schedule>, Status> {
        let (caller, asked) = caller::open(request)?;
        let schedule_id = id::parse("schedule_id", &asked.schedule_id)?;
        let resumed = write(&self.app, caller, move |app, caller| {
            schedules::resume(app, caller, schedule_id).boxed()
        })
        .await?;
        Ok(Response::new(self.shown(resumed)))
    }

    async fn run_schedule_now(
        &self,
        request: Request<v1::RunScheduleNowRequest>,
    ) -> Result<Response<v1::ScheduleRun>, Status> {
        let (caller, asked) = caller::open(request)?;
        let schedule_id = id::parse("schedule_id", &asked.schedule_id)?;
        let started = write(&self.app, caller, move |app, caller| {
            async move { schedules::run_now(app, caller, schedule_id, &asked.request_id).await }.boxed()
        })
        .await?;
        Ok(Response::new(shown_run(started)))
    }

    async fn list_schedule_runs(
        &self,
        request: Request<v1::ListScheduleRunsRequest>,
    ) -> Result<Response<v1::ListScheduleRunsResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        let schedule_id = id::parse("schedule_id", &asked.schedule_id)?;
        let page = Page::read(&caller, &mut asked)?;
        let (db, scope) = (self.app.db.read(), caller.scope());
        schedules::load(db, scope, schedule_id).await?;
        let rows = history::list(db, scope, schedule_id, page.after, page.limit()).await?;
        let (rows, next_page_token) = page.cut(rows, |row| row.number);
        Ok(Response::new(v1::ListScheduleRunsResponse {
            runs: rows.into_iter().map(shown_run).collect(),
            next_page_token,
        }))
    }
}

impl Schedules {
    fn shown(&self, row: Schedule) -> v1::Schedule {
        let timetable = Timetable::parse(&row.cron, &row.time_zone).ok().filter(|_| !row.paused);
        let upcoming = timetable.map(|timetable| timetable.upcoming(self.app.clock.now(), UPCOMING));
        v1::Schedule {
            schedule_id: row.id.to_string(),
            name: row.name,
            cron: row.cron,
            time_zone: row.time_zone,
            prompt: row.prompt,
            agent_id: row.agent_id.map(|agent_id| agent_id.to_string()),
            thread_id: row.thread_id.map(|thread_id| thread_id.to_string()),
            model_name: row.model,
            mode: row.mode,
            overlap: i32::from(row.overlap as i16),
            max_failures: row.max_failures,
            paused: row.paused,
            paused_reason: row.paused_reason,
            next_run_times: upcoming.into_iter().flatten().map(timestamp).collect(),
            created_at: Some(timestamp(row.created_at)),
            updated_at: Some(timestamp(row.updated_at)),
        }
    }
}

fn overlap(number: i32) -> Result<Overlap> {
    use v1::ScheduleOverlap as Asked;
    match Asked::try_from(number) {
        Ok(Asked::Unspecified | Asked::Skip) => Ok(Overlap::Skip),
        Ok(Asked::Queue) => Ok(Overlap::Queue),
        Ok(Asked::Replace) => Ok(Overlap::Replace),
        Err(_) => Err(Error::invalid_field(
            "overlap",
            "overlap must be skip, queue or replace",
        )),
    }
}

fn new(asked: v1::CreateScheduleRequest) -> Result<NewSchedule> {
    let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
    Ok(NewSchedule {
        name: asked.name,
        cron: asked.cron,
        time_zone: or(asked.time_zone, "UTC"),
        start: SavedStart {
            prompt: asked.prompt,
            agent_id: id::parse_optional("agent_id", &asked.agent_id)?,
            thread_id: id::parse_optional("thread_id", &asked.thread_id)?,
            model: asked.model_name,
            mode: asked.mode,
        },
        overlap: overlap(asked.overlap)?,
        max_failures: match asked.max_failures {
            0 => DEFAULT_FAILURES,
            number => number,
        },
    })
}

// A field that the mask contains, but the message does not set, becomes empty.
fn changes(asked: v1::UpdateScheduleRequest) -> Result<Changes> {
    const FIELDS: [&str; 10] = [
        "name",
        "cron",
        "time_zone",
        "prompt",
        "agent_id",
        "thread_id",
        "model_name",
        "mode",
        "overlap",
        "max_failures",
    ];
    let mask = Mask::read(asked.update_mask, "a schedule", &["schedule_id"], &FIELDS)?;
    let id_of = |field: &'static str, value: Option<String>| {
        let value = mask.value(field, value);
        value.map(|text| id::parse_optional(field, &text)).transpose()
    };
    Ok(Changes {
        name: mask.value("name", asked.name),
        cron: mask.value("cron", asked.cron),
        time_zone: mask.value("time_zone", asked.time_zone),
        start: StartChanges {
            prompt: mask.value("prompt", asked.prompt),
            agent_id: id_of("agent_id", asked.agent_id)?,
            thread_id: id_of("thread_id", asked.thread_id)?,
            model: mask.value("model_name", asked.model_name),
            mode: mask.value("mode", asked.mode),
        },
        overlap: mask.value("overlap", asked.overlap).map(overlap).transpose()?,
        max_failures: mask.value("max_failures", asked.max_failures),
    })
}

fn shown_run(row: Occurrence) -> v1::ScheduleRun {
    use v1::ScheduleRunOutcome as Shown;
    let outcome = match row.outcome {
        Outcome::Pending => Shown::Pending,
        Outcome::Started => Shown::Started,
        Outcome::Skipped => Shown::Skipped,
        Outcome::Refused => Shown::Refused,
    };
    v1::ScheduleRun {
        schedule_id: row.schedule_id.to_string(),
        occurrence: Some(timestamp(row.occurrence)),
        manual: row.manual,
        outcome: outcome.into(),
        agent_run_id: row.run_id.map(|run_id| run_id.to_string()),
        error_code: row.error_code.unwrap_or_default(),
        message: row.message.unwrap_or_default(),
        thread_id: row.thread_id.map(|thread_id| thread_id.to_string()),
    }
}
