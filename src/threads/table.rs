//! Database rows of threads and messages.

pub mod thread {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "threads")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        pub project_id: Uuid,
        pub name: String,
        pub created_at: DateTime<Utc>,
        /// Time of the last run start, `AddMessage` call or renaming. Lists of threads are sorted by this time.
        pub updated_at: DateTime<Utc>,
        /// The run that started a subagent in this thread; `None` for other threads.
        pub parent_run_id: Option<Uuid>,
        /// True if the name comes from the first prompt or from a model. A suggestion replaces only such a name.
        pub name_is_automatic: bool,
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

pub mod message {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    /// The numbers are those of the contract's `MessageDelivery`.
    #[derive(Clone, Copy, Debug, DeriveActiveEnum, EnumIter, PartialEq, Eq)]
    #[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
    pub enum Delivery {
        Pending = 1,
        Read = 2,
    }

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "messages")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        pub thread_id: Uuid,
        pub run_id: Option<Uuid>,
        /// Sort key within the thread: the id of the message's run or, for a message without a run, the message's own
        /// id.
        pub turn: Uuid,
        /// Number of a `MessageRole`.
        pub role: i16,
        pub content: String,
        /// JSON list of `StoredCall`.
        pub tool_calls: Option<Json>,
        /// Provider data that later requests must send back with this message, as JSON text. No API returns it.
        pub carried: Option<String>,
        /// Id of the tool call that the message answers; `None` if the message is not a tool message.
        pub tool_call_id: Option<String>,
        /// JSON list of the names of files in the workspace.
        pub files: Option<Json>,
        /// JSON list of `Attachment`: the files of the message that are in the workspace.
        pub attachments: Option<Json>,
        pub is_error: bool,
        /// True if the model's stream broke off before the message was complete.
        pub partial: bool,
        pub created_at: DateTime<Utc>,
        /// `None` unless the message was added to an unfinished run.
        pub delivery: Option<Delivery>,
        /// The message after which the model received an added message; `None` if it has not received it.
        pub read_after: Option<Uuid>,
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
