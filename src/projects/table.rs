//! Database rows of projects and of their sandboxes.

pub mod project {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    /// A project.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "projects")]
    pub struct Model {
        /// The project's UUID.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        /// Account that owns the row.
        pub account_id: Uuid,
        pub name: String,
        /// Creation time.
        pub created_at: DateTime<Utc>,
        /// Time of the last activity.
        pub updated_at: DateTime<Utc>,
    }

    /// Required by `SeaORM`; joins are written by hand.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    impl Owned for Entity {
        fn owner() -> Column {
            Column::AccountId
        }
    }
}

/// Sandboxes.
pub mod sandbox {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    /// A sandbox.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sandboxes")]
    pub struct Model {
        /// Number from which the sandbox's uid is derived. A number is never reused.
        #[sea_orm(primary_key)]
        pub number: i32,
        /// The sandbox's UUID.
        pub id: Uuid,
        pub project_id: Uuid,
        /// Account that owns the row.
        pub account_id: Uuid,
        /// Creation time.
        pub created_at: DateTime<Utc>,
    }

    /// Required by `SeaORM`; joins are written by hand.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    impl Owned for Entity {
        fn owner() -> Column {
            Column::AccountId
        }
    }
}
