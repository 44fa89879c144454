//! Database rows of webhooks and of their deliveries.

pub mod webhook {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "webhooks")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        pub url: String,
        /// Bits of the subscribed events (`webhooks/event.rs`).
        pub events: i32,
        pub enabled: bool,
        /// `None` if the webhook is enabled, or a caller disabled it.
        pub disabled_reason: Option<String>,
        /// The encrypted secret.
        pub secret: String,
        /// The encrypted secret before the last rotation, which is valid until `earlier_until`.
        pub earlier_secret: Option<String>,
        pub earlier_until: Option<DateTime<Utc>>,
        /// Number of attempts in a row that the receiver failed to answer.
        pub failures: i32,
        /// Earliest time at which a server should send deliveries; `None` if no delivery is queued.
        pub due_at: Option<DateTime<Utc>>,
        /// The claim whose task sends the deliveries; `None` if no task holds the lease.
        pub lease_owner: Option<Uuid>,
        pub lease_until: Option<DateTime<Utc>>,
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

pub mod delivery {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    #[derive(Clone, Copy, Debug, DeriveActiveEnum, EnumIter, PartialEq, Eq)]
    #[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
    pub enum State {
        /// The trigger inserted the row; the webhook may not be due yet.
        New = 0,
        /// The webhook is due when the first of its queued deliveries is due.
        Queued = 1,
        Succeeded = 2,
        Failed = 3,
    }

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "webhook_deliveries")]
    pub struct Model {
        /// Ascends in the order of the events of one run.
        #[sea_orm(primary_key)]
        pub number: i64,
        pub id: Uuid,
        pub webhook_id: Uuid,
        pub account_id: Uuid,
        /// Number of the event (`webhooks/event.rs`).
        pub event: i16,
        /// `None` for a test. The run may have been deleted.
        pub run_id: Option<Uuid>,
        pub thread_id: Option<Uuid>,
        pub project_id: Option<Uuid>,
        pub agent_id: Option<Uuid>,
        /// Sequence number of the run's event.
        pub sequence: i64,
        pub state: State,
        pub attempts: i32,
        /// Time of the event.
        pub created_at: DateTime<Utc>,
        /// Beginning of the period in which the delivery is retried.
        pub queued_at: DateTime<Utc>,
        /// Earliest time of the next attempt.
        pub due_at: DateTime<Utc>,
        pub attempted_at: Option<DateTime<Utc>>,
        pub finished_at: Option<DateTime<Utc>>,
        /// HTTP status of the last answer.
        pub response_status: Option<i32>,
        pub duration_ms: Option<i64>,
        /// Beginning of the body of the last answer.
        pub response: Option<String>,
        /// Why the receiver did not answer.
        pub error: Option<String>,
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
