//! The gRPC reflection service in the versions v1 and v1alpha. Older tools need v1alpha. Each version is built at its
//! first request, because building indexes all symbols and few clients use reflection.

use std::{
    convert::Infallible,
    marker::PhantomData,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::{Status, body::Body, server::NamedService, service::Routes};
use tonic_reflection::server::{Builder, Error};
use tower::{Service, ServiceExt};

use crate::contract::DESCRIPTORS;

pub(super) trait Version: Send + Sync + 'static {
    const NAME: &'static str;

    fn build(builder: Builder<'_>) -> Result<Routes, Error>;
}

pub(super) struct V1;

impl Version for V1 {
    const NAME: &'static str = "grpc.reflection.v1.ServerReflection";

    fn build(builder: Builder<'_>) -> Result<Routes, Error> {
        Ok(Routes::new(limited!(builder.build_v1()?)))
    }
}

pub(super) struct V1Alpha;

impl Version for V1Alpha {
    const NAME: &'static str = "grpc.reflection.v1alpha.ServerReflection";

    fn build(builder: Builder<'_>) -> Result<Routes, Error> {
        Ok(Routes::new(limited!(builder.build_v1alpha()?)))
    }
}

pub(super) struct Reflection<V> {
    built: Arc<OnceLock<Option<Routes>>>,
    version: PhantomData<V>,
}

impl<V> Default for Reflection<V> {
    fn default() -> Self {
        Self {
            built: Arc::default(),
            version: PhantomData,
        }
    }
}

impl<V> Clone for Reflection<V> {
    fn clone(&self) -> Self {
        Self {
            built: Arc::clone(&self.built),
            version: PhantomData,
        }
    }
}

impl<V: Version> NamedService for Reflection<V> {
    const NAME: &'static str = V::NAME;
}

impl<V: Version> Service<Request<Body>> for Reflection<V> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let built = Arc::clone(&self.built);
        Box::pin(async move {
            match built.get_or_init(|| V::build(of_contract()).ok().map(Routes::prepare)) {
                Some(service) => service.clone().oneshot(request).await,
                None => Ok(Status::internal("the compiled-in API description is invalid").into_http()),
            }
        })
    }
}

fn of_contract<'b>() -> Builder<'b> {
    Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
