//! Plugins: the bundled list, the registry, the loader.
