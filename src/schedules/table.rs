//! Database rows of schedules and of their occurrences.

pub mod schedule {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    /// The numbers are those of the contract's `ScheduleOverlap`.
    #[derive(Clone, Copy, Debug, Default, DeriveActiveEnum, EnumIter, PartialEq, Eq)]
    #[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
    pub enum Overlap {
        #[default]
        Skip = 1,
        Queue = 2,
        Replace = 3,
    }

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "schedules")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        pub name: String,
        pub cron: String,
        pub time_zone: String,
        pub prompt: String,
        /// `None` for the account's default agent.
        pub agent_id: Option<Uuid>,
        /// `None` if each run creates a thread.
        pub thread_id: Option<Uuid>,
        /// Empty for the agent's model.
        pub model: String,
        /// Empty for the default mode.
        pub mode: String,
        pub overlap: Overlap,
        pub max_failures: i32,
        pub paused: bool,
        /// `None` if a caller paused the schedule.
        pub paused_reason: Option<String>,
        /// Time of the next occurrence; `None` while the schedule is paused.
        pub next_at: Option<DateTime<Utc>>,
        /// Failures of earlier occurrences no longer count.
        pub counted_from: DateTime<Utc>,
        pub created_at: DateTime<Utc>,
        pub updated_at: DateTime<Utc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    impl Owned for Entity {
        fn owner() -> Column {
            Column::AccountId
        }
    }
}

pub mod occurrence {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    #[derive(Clone, Copy, Debug, DeriveActiveEnum, EnumIter, PartialEq, Eq)]
    #[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
    pub enum Outcome {
        Pending = 0,
        Started = 1,
        Refused = 2,
        Skipped = 3,
    }

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "schedule_runs")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub number: i64,
        pub schedule_id: Uuid,
        pub account_id: Uuid,
        pub occurrence: DateTime<Utc>,
        /// True if `RunScheduleNow` caused the occurrence.
        pub manual: bool,
        pub outcome: Outcome,
        /// Earliest time of the next attempt to start the run. A claim moves this time, as a lease.
        pub due_at: DateTime<Utc>,
        /// `None` if no run was started. The run may have been deleted.
        pub run_id: Option<Uuid>,
        /// Thread of the run.
        pub thread_id: Option<Uuid>,
        pub error_code: Option<String>,
        pub message: Option<String>,
        pub created_at: DateTime<Utc>,
        /// Idempotency key of `RunScheduleNow`, unique within the schedule.
        pub request_key: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    impl Owned for Entity {
        fn owner() -> Column {
            Column::AccountId
        }
    }
}
