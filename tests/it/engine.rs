//! Tests of the engine with a scripted model, scripted tools and a sink that records events. They check the events that
//! the engine records, their order, and the requests that it sends to the model.

mod answers;
mod budgets;
mod calls;
mod history;
mod images;
mod real_tools;
mod script;
