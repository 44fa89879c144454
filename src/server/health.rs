//! The state of the server for `grpc.health.v1`: of the whole, and of each service by its name.
//!
//! Called by `server`. Load balancers ask by the name of the service that they route.

use prost_reflect::DescriptorPool;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    contract::DESCRIPTORS,
    error::{Error, Result},
};

/// Tells the health service what state the server is in.
pub(super) struct Health {
    reporter: HealthReporter,
    names: Vec<String>,
}

impl Health {
    /// Reports through a reporter, for the services of the contract.
    ///
    /// # Errors
    /// INTERNAL when the contract cannot be read.
    pub fn new(reporter: HealthReporter) -> Result<Self> {
        let pool = DescriptorPool::decode(DESCRIPTORS).map_err(|error| Error::internal("descriptors", error))?;
        // The empty name is the server as a whole.
        let services = pool.services().map(|service| service.full_name().to_owned());
        let names = std::iter::once(String::new()).chain(services).collect();
        Ok(Self { reporter, names })
    }

    /// Tells everything that is being watched.
    pub async fn report(&self, status: ServingStatus) {
        for name in &self.names {
            self.reporter.set_service_status(name, status).await;
        }
    }
}
