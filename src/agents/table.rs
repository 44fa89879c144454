//! Database rows of agents and of their versions.

pub mod agent {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "agents")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        pub name: String,
        pub description: Option<String>,
        pub icon_name: String,
        pub icon_color: String,
        pub icon_background: String,
        pub is_default: bool,
        /// The label "public" grants no access.
        pub is_public: bool,
        /// Searchable text, built by `list::folded`.
        pub search_text: String,
        /// JSON list of strings.
        pub tags: Json,
        pub current_version_id: Uuid,
        pub version_count: i32,
        pub created_at: DateTime<Utc>,
        /// Also changes when another version becomes current.
        pub updated_at: DateTime<Utc>,
        /// The row is removed when no unfinished run needs the agent's versions.
        pub deleted_at: Option<DateTime<Utc>>,
    }

    /// `SeaORM` requires this type. Joins are written by hand.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    impl Owned for Entity {
        fn owner() -> Column {
            Column::AccountId
        }
    }
}

pub mod version {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "agent_versions")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub agent_id: Uuid,
        pub account_id: Uuid,
        /// Version number. Numbers start at 1 and have no gaps.
        pub number: i32,
        pub system_prompt: String,
        pub model: String,
        /// JSON list of MCP servers.
        pub configured_mcps: Json,
        /// JSON list of MCP servers.
        pub custom_mcps: Json,
        /// JSON object; its keys are tool names.
        pub tools: Json,
        /// JSON list of skills.
        pub skills: Json,
        /// JSON object, see `MemorySettings`.
        pub memory: Json,
        /// JSON object, see `Approvals`.
        pub approvals: Json,
        pub created_at: DateTime<Utc>,
        /// Time of creation or of the last activation.
        pub updated_at: DateTime<Utc>,
    }

    /// `SeaORM` requires this type. Joins are written by hand.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    impl Owned for Entity {
        fn owner() -> Column {
            Column::AccountId
        }
    }
}
