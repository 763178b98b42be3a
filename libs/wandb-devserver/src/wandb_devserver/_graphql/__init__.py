"""The GraphQL API: schema files, written first, and resolvers split by noun."""
