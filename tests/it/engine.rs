//! The engine, with a scripted model, scripted tools and a recording sink: what it records and in which order, and what
//! it sends to the model.

mod answers;
mod budgets;
mod calls;
mod history;
mod real_tools;
mod script;
