from tests.support.fixtures import object_store

__all__ = ["object_store"]
