//! Finds the gRPC method for an HTTP method and a path.
//!
//! Two rules that match the same requests are an error, so routing never depends on the order of the proto files.

pub mod rules;
pub mod template;
pub mod tree;

use std::borrow::Cow;

use http::Method as HttpMethod;
use prost_reflect::DescriptorPool;

pub use self::rules::{Alias, BodyRule, Method, Rule};
use self::{
    template::Capture,
    tree::{Conflict, Found, Tree},
};
use crate::{Error, Result, json::Codec, options::Package};

/// The routes of the services of a descriptor pool.
#[derive(Debug)]
pub struct Router {
    rules: Vec<Rule>,
    targets: Vec<Target>,
    tree: Tree,
    pub(crate) package: Package,
}

/// One path of a rule. If the service has a prefix, a rule has two paths: one with the prefix and one without.
#[derive(Debug)]
struct Target {
    rule: usize,
    captures: Vec<Capture>,
}

/// Result of routing a request.
#[derive(Debug)]
pub enum Routed<'r> {
    /// The index of the matching rule, and the values of the path's variables.
    To(usize, Vec<(&'r str, Cow<'r, str>)>),
    /// A rule matches the path, but only for these HTTP methods.
    OtherMethods(Vec<HttpMethod>),
    /// No rule matches the path.
    Nowhere,
    /// The percent-encoding of the path is invalid.
    Malformed,
}

impl Router {
    /// Reads the rules in a descriptor pool, and builds the router.
    ///
    /// # Errors
    /// `Invalid` if a rule is invalid or two rules conflict. The message names the methods.
    pub fn new(pool: &DescriptorPool, codec: &Codec) -> Result<Self> {
        let mut router = Self {
            rules: rules::read(pool, codec)?,
            targets: Vec::new(),
            tree: Tree::default(),
            package: codec.package.clone(),
        };
        for rule in 0..router.rules.len() {
            router.add(rule, "")?;
        }
        for rule in 0..router.rules.len() {
            let prefix = router.rules[rule].method.prefix.clone();
            if !prefix.is_empty() {
                router.add(rule, &prefix)?;
            }
        }
        Ok(router)
    }

    /// Returns the rules, in the order of the proto files.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Finds the rule for a request. `path` is the URI's percent-encoded path.
    pub fn find<'r>(&'r self, method: &HttpMethod, path: &'r str) -> Routed<'r> {
        match self.tree.find(method, path) {
            Found::Rule(target, path) => {
                let target = &self.targets[target];
                let values = target
                    .captures
                    .iter()
                    .map(|capture| (&*capture.field, path.value(capture)));
                Routed::To(target.rule, values.collect())
            }
            Found::OtherMethods(methods) => Routed::OtherMethods(methods),
            Found::Nothing => Routed::Nowhere,
            Found::Malformed => Routed::Malformed,
        }
    }

    fn add(&mut self, number: usize, prefix: &str) -> Result<()> {
        let rule = &self.rules[number];
        let name = rule.method.descriptor.full_name();
        let template = match prefix {
            "" => rule.template.clone(),
            prefix => rule
                .template
                .below(prefix)
                .map_err(|error| Error::invalid(format!("{name}: the prefix {prefix}: {error}")))?,
        };
        let target = self.targets.len();
        if let Err(Conflict(earlier)) = self.tree.add(&template, rule.verb.clone(), target) {
            let other = &self.rules[self.targets[earlier].rule];
            return Err(Error::invalid(format!(
                "{name} at {prefix}{} and {} at {} match the same requests",
                rule.path,
                other.method.descriptor.full_name(),
                other.path,
            )));
        }
        self.targets.push(Target {
            rule: number,
            captures: template.captures,
        });
        Ok(())
    }
}
