//! Database rows of skills, of their versions and of the contents of the versions.

pub mod skill {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "skills")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        /// Unique within the account.
        pub name: String,
        pub current_version_id: Uuid,
        /// Number of the newest version ever stored. Numbers are never reused.
        pub version_count: i32,
        /// Total size of the archives of all versions, in bytes.
        pub stored_bytes: i64,
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

pub mod version {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "skill_versions")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub skill_id: Uuid,
        pub account_id: Uuid,
        pub number: i32,
        pub description: String,
        pub license: Option<String>,
        pub compatibility: Option<String>,
        /// JSON object of strings.
        pub metadata: Json,
        /// JSON list of strings.
        pub allowed_tools: Json,
        pub archive_bytes: i64,
        pub unpacked_bytes: i64,
        /// BLAKE3 hash of the archive.
        pub digest: String,
        pub created_at: DateTime<Utc>,
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

pub mod content {
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "skill_contents")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        /// The text of SKILL.md after the front matter.
        pub instructions: String,
        /// JSON list of `SkillFile`.
        pub files: Json,
        pub archive: Vec<u8>,
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
