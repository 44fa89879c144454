//! The server's state for `grpc.health.v1`: of the whole server, and of each service by its name.
//!
//! Called by `server`. Load balancers query by the name of the service that they route to.

use prost_reflect::DescriptorPool;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    contract::DESCRIPTORS,
    error::{Error, Result},
};

/// Sets the state that the health service reports.
pub(super) struct Health {
    reporter: HealthReporter,
    names: Vec<String>,
}

impl Health {
    /// Reports through `reporter`, for the services of the contract.
    ///
    /// # Errors
    /// INTERNAL when the contract cannot be decoded.
    pub fn new(reporter: HealthReporter) -> Result<Self> {
        let pool = DescriptorPool::decode(DESCRIPTORS).map_err(|error| Error::internal("descriptors", error))?;
        // The empty name means the whole server.
        let services = pool.services().map(|service| service.full_name().to_owned());
        let names = std::iter::once(String::new()).chain(services).collect();
        Ok(Self { reporter, names })
    }

    /// Sets the state of the server and of all services.
    pub async fn report(&self, status: ServingStatus) {
        for name in &self.names {
            self.reporter.set_service_status(name, status).await;
        }
    }
}
