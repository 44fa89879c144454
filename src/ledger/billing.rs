//! Billing of model calls: the price at which usage is recorded, and whether the account is charged.

use super::{Book, Price};
use crate::{app::App, config::Model};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Billing {
    recorded: Option<Price>,
    is_charged: bool,
}

impl Billing {
    pub fn of(app: &App, model: &Model) -> Self {
        Self {
            recorded: Price::recorded(app, model),
            is_charged: Price::find(app, model).is_some(),
        }
    }

    /// `None` for the built-in model.
    pub fn recorded(self) -> Option<Price> {
        self.recorded
    }

    /// `None` if the account is not charged.
    pub fn charged(self) -> Option<Price> {
        self.recorded.filter(|_| self.is_charged)
    }

    /// The book that a charge debits.
    pub fn book(self) -> Book {
        if self.is_charged { Book::Wallet } else { Book::Free }
    }
}
