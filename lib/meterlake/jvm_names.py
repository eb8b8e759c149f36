"""Names of the JVM that are looked up once: py4j asks for each part of `jvm.org.apache.spark.sql.functions.col` anew.

Spark's class path has some 270 jars, and a name that may be a class of a package or of an import is looked for in all
of them until one has it: half a millisecond for each `functions` of PySpark's own, of which a run asks for thousands.
"""

from typing import Any

from py4j.java_gateway import JavaClass, JavaMember, JavaPackage

# What PySpark asks a view for by name, and the roots of all packages.
OF_PYSPARK = (
    "PythonRDD",
    "PythonSQLUtils",
    "PythonUtils",
    "functions",
    "org.apache.spark.sql.classic.SparkSession",
    "org.apache.spark.sql.functions",
)
ROOTS = ("io", "java", "org", "scala")


class _Package(JavaPackage):
    """A package that keeps what was found in it."""

    def __getattr__(self, name: str) -> Any:
        found = _kept(super().__getattr__(name))
        self.__dict__[name] = found
        return found


class _Class(JavaClass):
    """A class that keeps the methods that were found in it; the value of a field may change."""

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        if isinstance(found, JavaMember):
            self.__dict__[name] = found
        return found


def remember(jvm: Any) -> None:
    """Let a view of the JVM keep the names that PySpark and Delta ask it for."""
    for name in (*OF_PYSPARK, *ROOTS):
        jvm.__dict__[name] = _kept(getattr(jvm, name))


def _kept(found: Any) -> Any:
    """The same package or class, which keeps what is found in it."""
    if type(found) is JavaPackage:
        return _Package(found._fqn, found._gateway_client, found._jvm_id)
    if type(found) is JavaClass:
        return _Class(found._fqn, found._gateway_client)
    return found
