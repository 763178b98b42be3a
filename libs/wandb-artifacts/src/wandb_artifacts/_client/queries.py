"""GraphQL documents. They use only fields that the SDK's own documents use; old servers lack `parquetHistory`."""

_FILE = "name url(upload: false) sizeBytes md5 updatedAt"

_FILES = f"""
files(first: $fileLimit, after: $fileCursor) {{
  edges {{ node {{ {_FILE} }} cursor }}
  pageInfo {{ hasNextPage }}
}}
"""

_RUN = """
name state summaryMetrics heartbeatAt historyLineCount historyKeys logLineCount
displayName notes tags group jobType sweepName createdAt config fileCount user { username }
"""

_OUTLINE = """
name state summaryMetrics heartbeatAt historyLineCount logLineCount
displayName notes tags group jobType sweepName createdAt config fileCount user { username }
files(first: $fileLimit) { edges { node { name md5 } } pageInfo { hasNextPage endCursor } }
"""
"""Everything that shows whether a run has changed, and nothing that takes a server long, such as URLs."""

RUN = f"""
query Run($entity: String!, $project: String!, $run: String!, $fileLimit: Int!, $fileCursor: String) {{
  project(name: $project, entityName: $entity) {{ run(name: $run) {{ {_RUN} {_FILES} }} }}
}}
"""

RUN_FILES = f"""
query RunFiles($entity: String!, $project: String!, $run: String!, $fileLimit: Int!, $fileCursor: String) {{
  project(name: $project, entityName: $entity) {{ run(name: $run) {{ {_FILES} }} }}
}}
"""

FILE = f"""
query RunFiles($entity: String!, $project: String!, $run: String!, $fileNames: [String]!) {{
  project(name: $project, entityName: $entity) {{
    run(name: $run) {{
      files(names: $fileNames, first: 1) {{ edges {{ node {{ {_FILE} }} }} pageInfo {{ hasNextPage }} }}
    }}
  }}
}}
"""

SWEEP = """
query GetSweep($entity: String!, $project: String!, $sweep: String!) {
  project(name: $project, entityName: $entity) { sweep(sweepName: $sweep) { name state } }
}
"""

_PAGE = "$filters: JSONString!, $first: Int!, $after: String, $fileLimit: Int!"


def _runs(node: str) -> str:
    return f"""
    runs(filters: $filters, order: "+created_at", first: $first, after: $after) {{
      edges {{ node {{ {node} }} }}
      pageInfo {{ hasNextPage endCursor }}
    }}
    """


def _project_runs(node: str, variables: str) -> str:
    return f"""
    query Runs($entity: String!, $project: String!, {variables}) {{
      project(name: $project, entityName: $entity) {{ {_runs(node)} }}
    }}
    """


def _sweep_runs(node: str, variables: str) -> str:
    return f"""
    query Runs($entity: String!, $project: String!, $sweep: String!, {variables}) {{
      project(name: $project, entityName: $entity) {{ sweep(sweepName: $sweep) {{ name state }} {_runs(node)} }}
    }}
    """


PROJECT_RUNS = _project_runs(f"{_RUN} {_FILES}", f"{_PAGE}, $fileCursor: String")
PROJECT_OUTLINES = _project_runs(_OUTLINE, _PAGE)
SWEEP_RUNS = _sweep_runs(f"{_RUN} {_FILES}", f"{_PAGE}, $fileCursor: String")
SWEEP_OUTLINES = _sweep_runs(_OUTLINE, _PAGE)

HISTORY_PAGE = """
query HistoryPage(
  $entity: String!, $project: String!, $run: String!, $minStep: Int64!, $maxStep: Int64!, $pageSize: Int!
) {
  project(name: $project, entityName: $entity) {
    run(name: $run) { history(minStep: $minStep, maxStep: $maxStep, samples: $pageSize) }
  }
}
"""

HISTORY_EXPORTS = """
query RunParquetHistory($entity: String!, $project: String!, $run: String!) {
  project(name: $project, entityName: $entity) {
    run(name: $run) { parquetHistory(liveKeys: ["_step"]) { parquetUrls liveData } }
  }
}
"""

CONSOLE_PAGE = """
query RunConsoleLogPage($entity: String!, $project: String!, $run: String!, $first: Int, $after: String) {
  project(name: $project, entityName: $entity) {
    run(name: $run) {
      logLines(first: $first, after: $after, useImprovedPagination: true) {
        edges { node { line label } cursor }
        pageInfo { endCursor hasNextPage }
      }
    }
  }
}
"""

CONSOLE_TAIL = """
query RunConsoleLogTail($entity: String!, $project: String!, $run: String!, $last: Int!) {
  project(name: $project, entityName: $entity) {
    run(name: $run) { logLines(last: $last) { edges { node { line label } } pageInfo { hasNextPage } } }
  }
}
"""

PROJECTS = """
query GetProjects($entity: String!, $cursor: String, $perPage: Int!) {
  models(entityName: $entity, after: $cursor, first: $perPage) {
    edges { node { name } cursor }
    pageInfo { hasNextPage }
  }
}
"""

RUNS = """
query Runs($project: String!, $entity: String!, $cursor: String, $perPage: Int!) {
  project(name: $project, entityName: $entity) {
    runs(after: $cursor, first: $perPage, order: "+created_at") {
      edges { node { name } cursor }
      pageInfo { hasNextPage }
    }
  }
}
"""

VIEWER = """
query Viewer { viewer { id entity } }
"""

RUN_STATE = """
query RunState($entity: String!, $project: String!, $run: String!) {
  project(name: $project, entityName: $entity) { run(name: $run) { name state } }
}
"""

RUN_SNAPSHOT = """
query RunSnapshot($entity: String!, $project: String!, $run: String!) {
  project(name: $project, entityName: $entity) {
    run(name: $run) {
      name displayName state config tags notes group jobType sweepName createdAt heartbeatAt
      summaryMetrics historyLineCount historyKeys
    }
  }
}
"""
