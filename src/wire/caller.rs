//! Authenticates every request of every protocol before its body is read.
//!
//! Only CORS preflight requests, the paths in [`OPEN`], the files of the console and the public methods of the contract
//! (`wire/public.rs`) need no credential. Requests to triggers have their own (`wire/triggers/fire.rs`). A service method
//! calls [`open`] to get its caller.

use std::{net::IpAddr, sync::Arc};

use axum::body::Body;
use http::{HeaderName, Method, Request, Response};
use runyard_transcode::connect::Connect;
use uuid::Uuid;

use super::{
    access,
    answers::{Answers, run},
    credential_expiry::CredentialExpiry,
    forwarded,
    jwt::{Claims, Credential, VerifiedToken, Verifier, credential},
    link::Link,
    owner::Owner,
    protocol::Protocol,
    public::{self, Public},
    refusal,
    site::Site,
    throttle::Throttle,
    triggers::fire::is_for_trigger,
};
use crate::{
    accounts::{Access, Caller, Role, ensure},
    api_keys,
    app::App,
    error::{Code, Error, Result},
};

/// Value of the role claim that makes the caller a super admin.
const SUPER_ADMIN: &str = "super_admin";

/// Paths that need no credential. A path with a final slash includes all paths below it.
const OPEN: &[&str] = &[
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

/// The header that sets `StartRunRequest.emit_timing`. Only super admins may send it, so it is removed from the
/// requests of all other callers.
const SUPER_ADMINS: HeaderName = HeaderName::from_static("x-emit-timing");

/// The path of the metrics. A request for them needs the metrics token or the credential of a super admin.
pub const METRICS: &str = "/metrics";

/// Returns the caller and the message of a request.
///
/// # Errors
/// NOT_AUTHENTICATED if the request did not pass through [`authenticate`].
pub(super) fn open<T>(request: tonic::Request<T>) -> Result<(Caller, T)> {
    let (_, mut extensions, message) = request.into_parts();
    let caller = extensions.remove().ok_or_else(not_authenticated)?;
    Ok((caller, message))
}

pub(super) struct Gate {
    app: App,
    verifier: Arc<Verifier>,
    site: Arc<Site>,
    public: Public,
    connect: Connect,
    throttle: Arc<Throttle>,
}

impl Gate {
    pub(super) fn new(
        app: App,
        verifier: Arc<Verifier>,
        site: Arc<Site>,
        public: Public,
        connect: Connect,
        throttle: Arc<Throttle>,
    ) -> Self {
        Self {
            app,
            verifier,
            site,
            public,
            connect,
            throttle,
        }
    }
}

/// Refuses a request without a valid credential, unless the path needs none. Adds the caller and the credential
/// expiry to the extensions of an authenticated request.
pub(super) async fn authenticate(
    gate: Arc<Gate>,
    mut request: Request<Body>,
    next: impl Answers<Body>,
) -> Response<Body> {
    let link = request.extensions().get::<Arc<Link>>().cloned();
    let peer = link.as_ref().and_then(|link| link.address());
    let address = forwarded::client(request.headers(), peer, &gate.app.config.http.trusted_proxies);
    if is_open(&request) || gate.site.is_open(request.uri().path()) {
        return answer(next, request, Owner::of_address(address)).await;
    }
    if opens_metrics(&gate.app, &request) {
        recognize(link.as_deref());
        return answer(next, request, Owner::of_address(address)).await;
    }
    if let Err(error) = gate.app.installation.check() {
        return refusal::render(&gate.connect, Protocol::of(&request), error);
    }
    // A trigger checks its own secret, which can need the body.
    if is_for_trigger(&request) {
        return match gate.throttle.check_address(address) {
            Ok(()) => answer(next, request, Owner::of_address(address)).await,
            Err(error) => refusal::render(&gate.connect, Protocol::of(&request), error),
        };
    }
    // A public method checks a token in its message.
    if gate.public.contains(&request) {
        let admitted = gate.throttle.check_address(address);
        let bounded = admitted.and_then(|()| public::bounded(request.headers()));
        return match bounded {
            Ok(()) => public::unlisted(answer(next, public::limited(request), Owner::of_address(address)).await),
            Err(error) => refusal::render(&gate.connect, Protocol::of(&request), error),
        };
    }
    // The credential is read before the first await: a `Body` is not `Sync`, so the future must not borrow the
    // request across an await.
    let shown = gate
        .throttle
        .check_address(address)
        .and_then(|()| shown(&gate, &request));
    let known = match shown {
        Ok(shown) => known(&gate, shown, address).await,
        Err(error) => Err(error),
    };
    let admitted = known.and_then(|known| {
        gate.throttle.check_account(known.0.account_id)?;
        gate.app.accounts.suspensions.check(known.0.account_id)?;
        Ok(known)
    });
    let (caller, expiry) = match admitted {
        Ok(known) => known,
        Err(error) => return refusal::render(&gate.connect, Protocol::of(&request), error),
    };
    recognize(link.as_deref());
    access::note_account(caller.account_id);
    if caller.role != Role::SuperAdmin {
        request.headers_mut().remove(SUPER_ADMINS);
    }
    let owner = Owner::Account(caller.account_id);
    request.extensions_mut().insert(caller);
    request.extensions_mut().insert(expiry);
    answer(next, request, owner).await
}

async fn answer(next: impl Answers<Body>, mut request: Request<Body>, owner: Owner) -> Response<Body> {
    request.extensions_mut().insert(owner);
    let mut answer = run(next, request).await;
    answer.extensions_mut().insert(owner);
    answer
}

fn recognize(link: Option<&Link>) {
    if let Some(link) = link {
        link.recognize();
    }
}

/// The credential of a request: a token that was verified before, a new token, or an API key.
enum Shown {
    Verified(Arc<VerifiedToken>),
    Token(String),
    ApiKey(String),
}

fn shown(gate: &Gate, request: &Request<Body>) -> Result<Shown> {
    Ok(match credential(request.headers())? {
        Credential::Jwt(token) => match gate.verifier.remembered(token, gate.app.clock.now()) {
            Some(verified) => Shown::Verified(verified),
            None => Shown::Token(token.to_owned()),
        },
        Credential::ApiKey(key) => Shown::ApiKey(key.to_owned()),
    })
}

async fn known(gate: &Gate, shown: Shown, address: Option<IpAddr>) -> Result<(Caller, CredentialExpiry)> {
    let Gate { app, verifier, .. } = gate;
    // The futures of `authenticate` and `verify` are large and rarely needed. Boxing them keeps this future small.
    let token = match shown {
        Shown::Verified(token) => token,
        Shown::Token(token) => Box::pin(verifier.authenticate(&token, app.clock.now())).await?,
        Shown::ApiKey(key) => {
            let key = Box::pin(api_keys::verify(app, &key)).await?;
            let caller = Caller {
                account_id: key.account_id,
                // Only tokens can grant a role.
                role: Role::User,
                access: key.scope,
                name: format!("api_key:{}", key.name).into(),
            };
            return Ok((caller, CredentialExpiry::of_key(&key)));
        }
    };
    let role = if token.claims.role.as_deref() == Some(SUPER_ADMIN) {
        Role::SuperAdmin
    } else {
        Role::User
    };
    let account_id = if let Some(account_id) = token.account_id.get() {
        *account_id
    } else {
        let account_id = Box::pin(account_of(gate, &token.claims, role, address)).await?;
        *token.account_id.get_or_init(|| account_id)
    };
    let caller = Caller {
        account_id,
        role,
        access: Access::Admin,
        name: Arc::clone(&token.claims.subject),
    };
    Ok((caller, CredentialExpiry::of_token(&token.claims)))
}

/// Returns the account of a token's subject. Creates the account if the configuration or the role permits it.
async fn account_of(gate: &Gate, claims: &Claims, role: Role, address: Option<IpAddr>) -> Result<Uuid> {
    let app = &gate.app;
    if let Some(account_id) = ensure::find(app, &claims.issuer, &claims.subject).await? {
        return Ok(account_id);
    }
    if !app.config.auth.self_registration && role != Role::SuperAdmin {
        let message =
            "no account exists for this subject, and this server does not create accounts; ask its administrator";
        return Err(Error::new(Code::RegistrationClosed, message));
    }
    let _turn = app.accounts.registering().await;
    if let Some(account_id) = ensure::find(app, &claims.issuer, &claims.subject).await? {
        return Ok(account_id);
    }
    gate.throttle.check_new_account(address)?;
    ensure::create(app, &claims.issuer, &claims.subject).await
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

// Returns whether the request has the metrics token. The comparison takes constant time, so that its duration does
// not reveal the token.
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

pub(super) fn not_authenticated() -> Error {
    Error::new(Code::NotAuthenticated, "Not authenticated")
}
