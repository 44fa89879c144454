//! Authenticates every request of every protocol before its body is read.
//!
//! Only the paths in [`OPEN`] and the files of the site are accessible without a token. A service method calls [`of`]
//! to get its caller.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use futures::future::BoxFuture;
use http::{HeaderName, Method, Request, Response};
use tonic::Status;
use tower::Service;

use super::{
    access,
    credential_expiry::CredentialExpiry,
    fault, forwarded,
    jwt::{Credential, Verifier, credential},
    link::Link,
    owner::Owner,
    protocol::Protocol,
    site::Site,
    status,
    throttle::Throttle,
};
use crate::{
    accounts::{Access, Caller, Role, ensure},
    api_keys,
    app::App,
    error::{Code, Error, Result},
};

/// The value of the role claim that makes the caller an administrator of the installation.
const SUPER_ADMIN: &str = "super_admin";

/// Paths that need no token. A path that ends in a slash includes all paths below it.
const OPEN: &[&str] = &[
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

/// A header that only super admins may send. It is removed from the requests of all other callers.
const SUPER_ADMINS: HeaderName = HeaderName::from_static("x-emit-timing");

/// The path of the metrics. The metrics token and the credential of a super admin grant access to it.
pub const METRICS: &str = "/metrics";

/// The caller of a request.
///
/// # Errors
/// NOT_AUTHENTICATED, when the request did not pass through [`Authenticate`].
pub fn of<T>(request: &tonic::Request<T>) -> Result<Caller> {
    request
        .extensions()
        .get::<Caller>()
        .cloned()
        .ok_or_else(not_authenticated)
}

/// The authentication layer.
#[derive(Clone)]
pub struct Authenticate<S> {
    inner: S,
    app: App,
    verifier: Arc<Verifier>,
    site: Arc<Site>,
    throttle: Arc<Throttle>,
}

impl<S> Authenticate<S> {
    /// Wraps a service in this layer.
    pub fn new(inner: S, app: App, verifier: Arc<Verifier>, site: Arc<Site>) -> Self {
        let throttle = Arc::new(Throttle::new(&app.config));
        Self {
            inner,
            app,
            verifier,
            site,
            throttle,
        }
    }
}

impl<S> Service<Request<Body>> for Authenticate<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let (app, verifier, throttle) = (self.app.clone(), Arc::clone(&self.verifier), Arc::clone(&self.throttle));
        let open = is_open(&request) || self.site.is_open(request.uri().path());
        Box::pin(async move {
            let link = request.extensions().get::<Arc<Link>>().cloned();
            let peer = link.as_ref().and_then(|link| link.address());
            let address = forwarded::client(request.headers(), peer, &app.config.http.trusted_proxies);
            if open {
                return answer(inner, request, Owner::of_address(address)).await;
            }
            if opens_metrics(&app, &request) {
                recognize(link.as_deref());
                return answer(inner, request, Owner::of_address(address)).await;
            }
            if let Err(error) = app.installation.check() {
                return Ok(refuse(&request, error));
            }
            // The credential is read before the first await. A `Body` is not `Sync`, so the future must not hold a
            // reference to the request across an await.
            let shown = throttle.check_address(address).and_then(|()| shown(&request));
            let known = match shown {
                Ok(shown) => known(&app, &verifier, &throttle, (shown, address)).await,
                Err(error) => Err(error),
            };
            let known = known.and_then(|known| throttle.check_account(known.0.account_id).map(|()| known));
            match known {
                Ok((caller, expiry)) => {
                    recognize(link.as_deref());
                    access::note_account(caller.account_id);
                    if caller.role != Role::SuperAdmin {
                        request.headers_mut().remove(SUPER_ADMINS);
                    }
                    let owner = Owner::Account(caller.account_id);
                    request.extensions_mut().insert(caller);
                    request.extensions_mut().insert(expiry);
                    answer(inner, request, owner).await
                }
                Err(error) => Ok(refuse(&request, error)),
            }
        })
    }
}

/// Passes a request to the inner service, and adds the owner to the extensions of the request and of its response.
async fn answer<S>(mut inner: S, mut request: Request<Body>, owner: Owner) -> Result<Response<Body>, Infallible>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    request.extensions_mut().insert(owner);
    let mut answer = inner.call(request).await?;
    answer.extensions_mut().insert(owner);
    Ok(answer)
}

fn recognize(link: Option<&Link>) {
    if let Some(link) = link {
        link.recognize();
    }
}

/// An owned copy of the credential of a request.
enum Shown {
    Token(String),
    ApiKey(String),
}

fn shown(request: &Request<Body>) -> Result<Shown> {
    Ok(match credential(request.headers())? {
        Credential::Jwt(token) => Shown::Token(token.to_owned()),
        Credential::ApiKey(key) => Shown::ApiKey(key.to_owned()),
    })
}

async fn known(
    app: &App,
    verifier: &Verifier,
    throttle: &Throttle,
    (shown, address): (Shown, Option<IpAddr>),
) -> Result<(Caller, CredentialExpiry)> {
    let claims = match shown {
        Shown::Token(token) => {
            let now = app.clock.now();
            verifier.refresh_for(&token, now).await;
            verifier.verify(&token, now)?
        }
        Shown::ApiKey(key) => {
            let key = api_keys::verify(app, &key).await?;
            let caller = Caller {
                account_id: key.account_id,
                // Only a token can carry a role.
                role: Role::User,
                access: key.scope,
            };
            return Ok((caller, CredentialExpiry::of_key(&key)));
        }
    };
    let role = if claims.role.as_deref() == Some(SUPER_ADMIN) {
        Role::SuperAdmin
    } else {
        Role::User
    };
    let known = ensure::find(app, &claims.issuer, &claims.subject).await?;
    let account_id = match known {
        Some(account_id) => account_id,
        None if app.config.auth.self_registration || role == Role::SuperAdmin => {
            let _turn = app.accounts.registering().await;
            if let Some(account_id) = ensure::find(app, &claims.issuer, &claims.subject).await? {
                account_id
            } else {
                throttle.check_new_account(address)?;
                ensure::create(app, &claims.issuer, &claims.subject).await?
            }
        }
        None => {
            let message =
                "no account exists for this subject, and this server does not create accounts; ask its administrator";
            return Err(Error::new(Code::RegistrationClosed, message));
        }
    };
    let caller = Caller {
        account_id,
        role,
        access: Access::Admin,
    };
    Ok((caller, CredentialExpiry::of_token(&claims)))
}

fn is_open(request: &Request<Body>) -> bool {
    let path = request.uri().path();
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key("access-control-request-method");
    is_preflight
        || OPEN
            .iter()
            .any(|open| path == *open || (open.ends_with('/') && path.starts_with(open)))
}

// Compares the token in constant time, because it is a secret of the deployment.
fn opens_metrics(app: &App, request: &Request<Body>) -> bool {
    use secrecy::ExposeSecret;
    use subtle::ConstantTimeEq;
    let Some(token) = &app.config.auth.metrics_token else {
        return false;
    };
    let given = request
        .headers()
        .get(http::header::AUTHORIZATION)
        .map(http::HeaderValue::as_bytes);
    let given = given
        .and_then(|value| value.strip_prefix(b"Bearer "))
        .unwrap_or_default();
    request.uri().path() == METRICS && bool::from(token.expose_secret().as_bytes().ct_eq(given))
}

/// Renders a refusal in the protocol of the request.
pub fn refuse(request: &Request<Body>, error: Error) -> Response<Body> {
    match Protocol::of(request.headers()) {
        Protocol::Http => fault::refuse(error),
        Protocol::Grpc | Protocol::GrpcWeb => status::refuse(Status::from(error)),
    }
}

/// The refusal of a request without a valid credential.
pub(super) fn not_authenticated() -> Error {
    Error::new(Code::NotAuthenticated, "Not authenticated")
}
