//! Tests of the engine with a scripted model and scripted tools. The tests check the recorded events and the requests
//! to the model.

mod answers;
mod budgets;
mod calls;
mod history;
mod images;
mod output;
mod real_tools;
pub mod script;
