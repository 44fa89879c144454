//! Checks the scope of API keys before every method, for every protocol.
//!
//! The contract declares the scope of each method (`proto/runyard/v1/access.proto`). A method without a declaration
//! requires the widest scope. Public methods have no scope, because they have no caller (`wire/public.rs`).

use std::{collections::HashMap, sync::Arc};

use http::Request;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tonic::{Status, body::Body};
use tower::{ServiceExt, service_fn};

use super::answers::Answers;
use crate::{
    accounts::{Access, Caller},
    error::{Code, Error, Result},
    v1,
};

/// All methods of the contract with their gRPC paths.
pub fn methods(pool: &DescriptorPool) -> impl Iterator<Item = (String, MethodDescriptor)> {
    let methods = pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>());
    methods.map(|method| {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        (path, method)
    })
}

/// The scope that an API key needs for each method, by gRPC path such as `/runyard.v1.RunService/StartRun`.
pub struct Scopes {
    methods: HashMap<String, Access>,
}

impl Scopes {
    /// Reads the option `runyard.v1.access` of every method of the contract.
    pub fn of(pool: &DescriptorPool) -> Self {
        Self {
            methods: methods(pool)
                .filter_map(|(path, method)| Some((path, scope(&method)?)))
                .collect(),
        }
    }

    /// Returns the scope that a gRPC path requires. Returns `None` for public methods, and for services outside the
    /// contract, such as health and reflection.
    pub fn needed(&self, path: &str) -> Option<Access> {
        self.methods.get(path).copied()
    }
}

/// Returns the scope that a method of the contract declares; `None` for a public method.
pub fn scope(method: &MethodDescriptor) -> Option<Access> {
    let option = method.parent_pool().get_extension_by_name("runyard.v1.access");
    let value = option.map(|option| method.options().get_extension(&option).into_owned());
    match value.and_then(|value| value.as_enum_number()) {
        Some(number) if number == v1::Access::Public as i32 => None,
        Some(number) if number == v1::Access::Read as i32 => Some(Access::Read),
        Some(number) if number == v1::Access::Run as i32 => Some(Access::Run),
        _ => Some(Access::Admin),
    }
}

/// Refuses a call that the caller's credential does not allow.
///
/// # Errors
/// PERMISSION_DENIED, with the name of the missing scope.
pub fn check(caller: &Caller, needed: Access) -> Result<()> {
    if caller.access >= needed {
        return Ok(());
    }
    let message = format!(
        "the API key lacks the scope {}; use a key with that scope",
        needed.as_str()
    );
    Err(Error::new(Code::PermissionDenied, message))
}

pub(super) fn enforce(grpc: impl Answers<Body>, scopes: Arc<Scopes>) -> impl Answers<Body> {
    service_fn(move |request: Request<Body>| {
        let caller = request.extensions().get::<Caller>();
        let permitted = match (caller, scopes.needed(request.uri().path())) {
            (Some(caller), Some(needed)) => check(caller, needed),
            // Either the path needs no credential, or the method is outside the contract. A method that needs a
            // caller checks for one itself.
            (None, _) | (_, None) => Ok(()),
        };
        let grpc = grpc.clone();
        async move {
            match permitted {
                Ok(()) => grpc.oneshot(request).await,
                Err(error) => Ok(Status::from(error).into_http()),
            }
        }
    })
}
