//! fraud-service
