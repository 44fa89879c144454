//! The rows of the ledger.

/// What accounts have left.
pub mod balance {
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    /// What an account has left.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "balances")]
    pub struct Model {
        /// The account.
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: Uuid,
        /// What is left: the sum of the account's own book.
        pub microcredits: i64,
        /// The month whose credits were granted last: years times twelve plus the month.
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

/// What moved, from which book to which.
pub mod entry {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    use crate::accounts::Owned;

    /// A book of an account.
    #[derive(Clone, Copy, Debug, DeriveActiveEnum, EnumIter, PartialEq, Eq)]
    #[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
    pub enum Book {
        /// What the account may spend.
        Wallet = 1,
        /// What the installation gave.
        Granted = 2,
        /// What calls of models cost.
        Used = 3,
        /// What calls of models cost while nothing is charged: such entries leave the balance alone.
        Free = 4,
    }

    /// One movement.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "ledger_entries")]
    pub struct Model {
        /// The entry's UUID.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        /// The account.
        pub account_id: Uuid,
        /// The book that it is taken from.
        pub debited: Book,
        /// The book that it is given to.
        pub credited: Book,
        /// How much.
        pub microcredits: i64,
        /// What a call cost beyond what was left; nobody pays it.
        pub uncollected: i64,
        /// The run of a charge.
        pub run_id: Option<Uuid>,
        /// Which call of the model in the run, from 1.
        pub step: Option<i32>,
        /// The thread of a charge.
        pub thread_id: Option<Uuid>,
        /// The model of a charge.
        pub model: Option<String>,
        /// Tokens of the prompt.
        pub input_tokens: i64,
        /// Tokens of the answer.
        pub output_tokens: i64,
        /// Whether the tokens are estimated.
        pub estimated: bool,
        /// What makes a grant the same grant when it is asked for again.
        pub grant_key: Option<String>,
        /// When it was written.
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
