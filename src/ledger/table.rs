//! Database rows of the ledger: one balance per account, and the entries.

pub mod balance {
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "balances")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: Uuid,
        /// Millionths of a credit: the sum of the account's wallet entries.
        pub microcredits: i64,
        /// Month of the last monthly grant: the year times twelve, plus the month from 0 to 11.
        pub granted_month: i32,
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

pub mod entry {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    /// A book of double-entry accounting. Each entry moves an amount from one book to another.
    #[derive(Clone, Copy, Debug, DeriveActiveEnum, EnumIter, PartialEq, Eq)]
    #[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
    pub enum Book {
        /// Credits that the account may spend.
        Wallet = 1,
        /// Source of granted credits.
        Granted = 2,
        /// Destination of the cost of model calls.
        Used = 3,
        /// Source of credits for model calls that are free for the account.
        Free = 4,
    }

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "ledger_entries")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        pub debited: Book,
        pub credited: Book,
        pub microcredits: i64,
        /// Part of a call's cost that exceeded the balance. This part is never charged.
        pub uncollected: i64,
        /// `None` for grants and for calls outside of runs.
        pub run_id: Option<Uuid>,
        /// Number of the model call in the run, from 1; `None` for grants and for calls outside of runs.
        pub step: Option<i32>,
        /// `None` for grants and for calls outside of runs.
        pub thread_id: Option<Uuid>,
        /// Public name; `None` for grants.
        pub model: Option<String>,
        pub input_tokens: i64,
        pub output_tokens: i64,
        /// True if the token counts are estimates.
        pub estimated: bool,
        /// Idempotency key of a grant; `None` for charges.
        pub grant_key: Option<String>,
        pub created_at: DateTime<Utc>,
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
