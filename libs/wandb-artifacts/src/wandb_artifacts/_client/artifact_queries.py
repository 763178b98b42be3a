"""GraphQL documents about artifacts. They use only fields that the SDK's own documents use."""

ARTIFACT = """
query ArtifactMembershipByName($entity: String!, $project: String!, $name: String!) {
  project(name: $project, entityName: $entity) {
    artifactCollectionMembership(name: $name) {
      versionIndex
      artifact {
        id state size digest fileCount createdAt
        artifactType { name }
        currentManifest { file { directUrl } }
      }
    }
  }
}
"""

ARTIFACT_BY_ID = """
query ArtifactByID($id: ID!) {
  artifact(id: $id) {
    id state size digest fileCount createdAt
    artifactType { name }
    currentManifest { file { directUrl } }
  }
}
"""

_FILES = """
files(names: $fileNames, after: $cursor, first: $perPage) {
  edges { node { name directUrl } cursor }
  pageInfo { endCursor hasNextPage }
}
"""

FILE_URLS = f"""
query ArtifactMembershipFileUrls(
  $entity: String!, $project: String!, $collection: String!, $alias: String!,
  $fileNames: [String!], $cursor: String, $perPage: Int
) {{
  project(name: $project, entityName: $entity) {{
    artifactCollection(name: $collection) {{ artifactMembership(aliasName: $alias) {{ {_FILES} }} }}
  }}
}}
"""

FILE_URLS_BY_ID = f"""
query ArtifactFileUrls($id: ID!, $fileNames: [String!], $cursor: String, $perPage: Int) {{
  artifact(id: $id) {{ {_FILES} }}
}}
"""

ALIASES = """
query ArtifactCollectionAliases($entity: String!, $project: String!, $collection: String!, $perPage: Int) {
  project(name: $project, entityName: $entity) {
    artifactCollection(name: $collection) {
      name
      aliases(first: $perPage) { edges { node { alias } cursor } pageInfo { endCursor hasNextPage } }
    }
  }
}
"""

COLLECTIONS = """
query ProjectArtifactCollections($entity: String!, $project: String!, $cursor: String, $perPage: Int) {
  project(entityName: $entity, name: $project) {
    artifactCollections(after: $cursor, first: $perPage) {
      edges { node { name createdAt updatedAt defaultArtifactType { name } } cursor }
      pageInfo { endCursor hasNextPage }
    }
  }
}
"""
