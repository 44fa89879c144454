//! Database rows of the ledger.

/// Balances of accounts.
pub mod balance {
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    /// Balance of an account.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "balances")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: Uuid,
        /// Balance: the sum of the account's wallet entries.
        pub microcredits: i64,
        /// Month of the last monthly grant: the year times twelve plus the month.
        pub granted_month: i32,
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

/// Ledger entries: movements between books.
pub mod entry {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    /// The books of double-entry accounting between which amounts move.
    #[derive(Clone, Copy, Debug, DeriveActiveEnum, EnumIter, PartialEq, Eq)]
    #[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
    pub enum Book {
        /// Credits that the account may spend.
        Wallet = 1,
        /// Source of granted credits.
        Granted = 2,
        /// Destination of the cost of model calls.
        Used = 3,
        /// Source for model calls that are not charged. Such entries do not change the balance.
        Free = 4,
    }

    /// One ledger entry.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "ledger_entries")]
    pub struct Model {
        /// The entry's UUID.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        /// Book that the amount is taken from.
        pub debited: Book,
        /// Book that the amount is added to.
        pub credited: Book,
        /// Amount in millionths of a credit.
        pub microcredits: i64,
        /// Part of a call's cost that exceeded the balance; it is not charged.
        pub uncollected: i64,
        /// The run of a charge.
        pub run_id: Option<Uuid>,
        /// Number of the model call in the run, from 1.
        pub step: Option<i32>,
        /// The thread of a charge.
        pub thread_id: Option<Uuid>,
        /// The model of a charge.
        pub model: Option<String>,
        /// Tokens of the prompt.
        pub input_tokens: i64,
        /// Tokens of the answer.
        pub output_tokens: i64,
        /// True if the token counts are estimates.
        pub estimated: bool,
        /// Idempotency key of a grant.
        pub grant_key: Option<String>,
        /// Time of the entry.
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
