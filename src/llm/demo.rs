//! x
use async_trait::async_trait;
use super::{Llm, ModelRequest, ModelStream};
/// x
pub struct Demo;
#[async_trait]
impl Llm for Demo {
    async fn stream(&self, _: ModelRequest) -> ModelStream { Box::pin(futures::stream::empty()) }
}
