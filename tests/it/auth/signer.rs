//! Creates valid and invalid tokens, with keys generated for the test.

use std::io::Write;

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
        ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
        RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
        RsaEncoding, RsaKeyPair,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use runyard::{
    config::{Auth, Config},
    wire::jwt::Verifier,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;

pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

pub struct Signer {
    key: Key,
    kid: String,
}

static RSA: [(&str, &dyn RsaEncoding); 6] = [
    ("RS256", &RSA_PKCS1_SHA256),
    ("RS384", &RSA_PKCS1_SHA384),
    ("RS512", &RSA_PKCS1_SHA512),
    ("PS256", &RSA_PSS_SHA256),
    ("PS384", &RSA_PSS_SHA384),
    ("PS512", &RSA_PSS_SHA512),
];

enum Key {
    Secret(Vec<u8>),
    Rsa(Box<RsaKeyPair>, &'static str),
    Ec {
        pkcs8: Vec<u8>,
        curve: &'static EcdsaSigningAlgorithm,
    },
    Ed(Box<Ed25519KeyPair>),
}

pub fn auth() -> Auth {
    Config::parse("test", "").unwrap().auth
}

pub fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn encode(value: &Value) -> String {
    base64(value.to_string().as_bytes())
}

impl Signer {
    fn new(key: Key) -> Self {
        Self {
            key,
            kid: format!("key-{}", runyard::id::new()),
        }
    }

    pub fn secret() -> Self {
        Self::from_secret(SECRET.as_bytes())
    }

    pub fn from_secret(secret: &[u8]) -> Self {
        Self::new(Key::Secret(secret.to_vec()))
    }

    pub fn rsa() -> Self {
        Self::rsa_with("RS256")
    }

    pub fn rsa_with(alg: &'static str) -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        Self::new(Key::Rsa(Box::new(key), alg))
    }

    pub fn with_algorithm(alg: &str, secret: &str) -> Self {
        match alg {
            "HS256" => Self::from_secret(secret.as_bytes()),
            "ES256" => Self::ec(),
            "ES384" => Self::ec_p384(),
            "ES512" => Self::ec_p521(),
            "EdDSA" => Self::ed(),
            _ => Self::rsa_with(RSA.iter().find(|(name, _)| *name == alg).unwrap().0),
        }
    }

    pub fn ec() -> Self {
        Self::on_curve(&ECDSA_P256_SHA256_FIXED_SIGNING)
    }

    pub fn ec_p384() -> Self {
        Self::on_curve(&ECDSA_P384_SHA384_FIXED_SIGNING)
    }

    pub fn ec_p521() -> Self {
        Self::on_curve(&ECDSA_P521_SHA512_FIXED_SIGNING)
    }

    fn on_curve(curve: &'static EcdsaSigningAlgorithm) -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(curve, &SystemRandom::new()).unwrap();
        Self::new(Key::Ec {
            pkcs8: pkcs8.as_ref().to_vec(),
            curve,
        })
    }

    pub fn ed() -> Self {
        Self::new(Key::Ed(Box::new(Ed25519KeyPair::generate().unwrap())))
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub fn alg(&self) -> &'static str {
        match &self.key {
            Key::Secret(_) => "HS256",
            Key::Rsa(_, alg) => alg,
            Key::Ec { .. } => match self.public_bytes().len() {
                65 => "ES256",
                97 => "ES384",
                _ => "ES512",
            },
            Key::Ed(_) => "EdDSA",
        }
    }

    pub fn sign_with_kid(&self, claims: &Value) -> String {
        self.sign_with_header(&json!({"typ": "JWT", "alg": self.alg(), "kid": self.kid}), claims)
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with_header(&json!({"typ": "JWT", "alg": self.alg()}), claims)
    }

    pub fn sign_with_header(&self, header: &Value, claims: &Value) -> String {
        self.sign_parts(&encode(header), &encode(claims))
    }

    pub fn sign_text(&self, payload: &str) -> String {
        self.sign_parts(&encode(&json!({"alg": self.alg()})), &base64(payload.as_bytes()))
    }

    pub fn sign_parts(&self, header: &str, payload: &str) -> String {
        let signed = format!("{header}.{payload}");
        let signature = base64(&self.signature(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn signature(&self, signed: &[u8]) -> Vec<u8> {
        match &self.key {
            Key::Secret(secret) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
                mac.update(signed);
                mac.finalize().into_bytes().to_vec()
            }
            Key::Rsa(key, alg) => {
                let mut signature = vec![0; key.public_modulus_len()];
                let (_, encoding) = RSA.iter().find(|(name, _)| name == alg).unwrap();
                key.sign(*encoding, &SystemRandom::new(), signed, &mut signature)
                    .unwrap();
                signature
            }
            Key::Ec { pkcs8, curve } => sign_ec(curve, pkcs8, signed),
            Key::Ed(key) => key.sign(signed).as_ref().to_vec(),
        }
    }

    /// Returns the signature in ASN.1 DER. Other protocols use this form, but JWTs must not.
    pub fn der_signature(&self, signed: &[u8]) -> Vec<u8> {
        let Key::Ec { pkcs8, .. } = &self.key else {
            panic!("only ECDSA has a DER form")
        };
        sign_ec(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8, signed)
    }

    /// Returns the public key in several encodings. An attacker could try each of them as an HMAC secret.
    pub fn public_forms(&self) -> Vec<Vec<u8>> {
        let bytes = self.public_bytes();
        let pem = format!(
            "-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n",
            base64(&bytes)
        );
        vec![
            bytes.clone(),
            base64(&bytes).into_bytes(),
            pem.into_bytes(),
            self.jwk().to_string().into_bytes(),
        ]
    }

    fn public_bytes(&self) -> Vec<u8> {
        match &self.key {
            Key::Secret(secret) => secret.clone(),
            Key::Rsa(key, _) => key.public_key().as_ref().to_vec(),
            Key::Ec { pkcs8, curve } => EcdsaKeyPair::from_pkcs8(curve, pkcs8)
                .unwrap()
                .public_key()
                .as_ref()
                .to_vec(),
            Key::Ed(key) => key.public_key().as_ref().to_vec(),
        }
    }

    pub fn jwk(&self) -> Value {
        let bytes = self.public_bytes();
        match &self.key {
            Key::Secret(_) => json!({"kty": "oct", "kid": self.kid, "k": base64(&bytes)}),
            Key::Rsa(..) => {
                // The DER encoding of an RSAPublicKey with 2048 bits is a 9-byte header, the modulus, two more bytes,
                // and the exponent.
                let (n, e) = (&bytes[9..265], &bytes[bytes.len() - 3..]);
                json!({"kty": "RSA", "kid": self.kid, "n": base64(n), "e": base64(e)})
            }
            Key::Ec { .. } => {
                let (x, y) = bytes[1..].split_at(bytes.len() / 2);
                let curve = match x.len() {
                    32 => "P-256",
                    48 => "P-384",
                    _ => "P-521",
                };
                json!({"kty": "EC", "kid": self.kid, "crv": curve, "x": base64(x), "y": base64(y)})
            }
            Key::Ed(_) => json!({"kty": "OKP", "kid": self.kid, "crv": "Ed25519", "x": base64(&bytes)}),
        }
    }

    pub fn verifier(&self) -> Verifier {
        self.verifier_with(&auth())
    }

    pub fn verifier_with(&self, auth: &Auth) -> Verifier {
        if let Key::Secret(secret) = &self.key {
            let secret = SecretString::from(String::from_utf8(secret.clone()).unwrap());
            return Verifier::new(auth, Some(&secret)).unwrap();
        }
        let file = jwks(&[self.jwk()]);
        let auth = Auth {
            jwks_file: Some(file.path().into()),
            ..auth.clone()
        };
        Verifier::new(&auth, None).unwrap()
    }
}

fn sign_ec(curve: &'static EcdsaSigningAlgorithm, pkcs8: &[u8], signed: &[u8]) -> Vec<u8> {
    let key = EcdsaKeyPair::from_pkcs8(curve, pkcs8).unwrap();
    key.sign(&SystemRandom::new(), signed).unwrap().as_ref().to_vec()
}

pub fn jwks(keys: &[Value]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(json!({"keys": keys}).to_string().as_bytes()).unwrap();
    file
}
