//! The signature algorithms of public keys.
//!
//! Each type of key has its own list. No list contains HS256, so a public key can never be used as an HMAC secret.

use aws_lc_rs::signature::{self, VerificationAlgorithm};

#[derive(Debug)]
pub(super) struct Algorithm {
    /// Values of `alg`, in a token header or a JWK, that select the algorithm.
    pub(super) names: &'static [&'static str],
    pub(super) verification: &'static dyn VerificationAlgorithm,
}

/// The algorithms of an RSA key (RFC 7518).
pub(super) static RSA: [Algorithm; 6] = [
    Algorithm {
        names: &["RS256"],
        verification: &signature::RSA_PKCS1_2048_8192_SHA256,
    },
    Algorithm {
        names: &["RS384"],
        verification: &signature::RSA_PKCS1_2048_8192_SHA384,
    },
    Algorithm {
        names: &["RS512"],
        verification: &signature::RSA_PKCS1_2048_8192_SHA512,
    },
    Algorithm {
        names: &["PS256"],
        verification: &signature::RSA_PSS_2048_8192_SHA256,
    },
    Algorithm {
        names: &["PS384"],
        verification: &signature::RSA_PSS_2048_8192_SHA384,
    },
    Algorithm {
        names: &["PS512"],
        verification: &signature::RSA_PSS_2048_8192_SHA512,
    },
];

pub(super) static P256: [Algorithm; 1] = [Algorithm {
    names: &["ES256"],
    verification: &signature::ECDSA_P256_SHA256_FIXED,
}];

pub(super) static P384: [Algorithm; 1] = [Algorithm {
    names: &["ES384"],
    verification: &signature::ECDSA_P384_SHA384_FIXED,
}];

pub(super) static P521: [Algorithm; 1] = [Algorithm {
    names: &["ES512"],
    verification: &signature::ECDSA_P521_SHA512_FIXED,
}];

/// RFC 8037 defines `EdDSA`, RFC 9864 defines `Ed25519`.
pub(super) static ED25519: [Algorithm; 1] = [Algorithm {
    names: &["EdDSA", "Ed25519"],
    verification: &signature::ED25519,
}];

pub(super) fn is_known(name: &str) -> bool {
    let all = RSA.iter().chain(&P256).chain(&P384).chain(&P521).chain(&ED25519);
    all.flat_map(|algorithm| algorithm.names).any(|known| *known == name)
}
