"""Runs a Tiltfile with stubs that behave as Tilt does, and prints every call as JSON.

    tilt.py TILTFILE CONTEXT [ARGUMENT...]

Refused as by the real one: undefined names, unknown arguments, a load over the network, a missing YAML file or Dockerfile,
`dc_resource` of a service that Compose does not run, `k8s_resource` of a workload that no YAML has, a resource that is
named twice or waits for nobody's name, and a Kubernetes context that is not known to be local.
"""

import inspect
import json
import os
import re
import sys

import starlark

TILTFILE, CONTEXT, ARGUMENTS = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3:]
FOLDER = os.path.dirname(TILTFILE)
calls = []
services = set()
workloads = set()
resources = {}
flags = {}
allowed = set()


def here(path):
    """A path of a call starts from the folder of the Tiltfile that was started, wherever the function stands."""
    return os.path.normpath(os.path.join(FOLDER, path))


def must_exist(path):
    if not os.path.exists(here(path)):
        raise ValueError("no such file: " + here(path))


def must_be_local():
    local = CONTEXT.startswith("kind-") or CONTEXT in ("minikube", "docker-desktop")
    if not (local or CONTEXT in allowed):
        raise ValueError("%s might be production: allow_k8s_contexts" % CONTEXT)


def record(function):
    """A stub that says what it was called with, under the names of its arguments."""

    def called(*args, **kwargs):
        bound = inspect.signature(function).bind(*args, **kwargs)
        bound.apply_defaults()
        calls.append([function.__name__, dict(bound.arguments)])
        return function(*args, **kwargs)

    called.__name__ = function.__name__
    return called


def analytics_settings(enable): pass


def ci_settings(timeout=None, readiness_timeout=None, k8s_grace_period=None): pass


def allow_k8s_contexts(contexts): allowed.update([contexts] if isinstance(contexts, str) else contexts)


def k8s_context(): return CONTEXT


def link(url, name=None):
    if not re.match(r"https?://", url):
        raise ValueError("no URL: " + url)
    return [url, name]


def docker_build(ref, context, dockerfile=None, target="", only=None, ignore=None):
    must_exist(context)
    must_exist(dockerfile)
    for source in only or []:
        must_exist(context + "/" + source)


def docker_compose(configPaths, env_file=None, project_name="", profiles=None):
    must_exist(configPaths)
    blocks = open(here(configPaths)).read().split("\nservices:\n")[1].split("\n\nnetworks:")[0]
    for block in re.split(r"\n(?=  \S)", "\n" + blocks):
        name = re.match(r"\s*([\w-]+):", block)
        wanted = re.findall(r"profiles:\n\s+- (\S+)", block)
        if name and (not wanted or set(wanted) & set(profiles or [])):
            services.add(name.group(1))


def new_resource(name, deps):
    if name in resources:
        raise ValueError("two resources are called " + name)
    resources[name] = list(deps or [])


def dc_resource(name, trigger_mode=None, resource_deps=None, links=None, labels=None, auto_init=None):
    if name not in services:
        raise ValueError("no service %s in Compose; there are: %s" % (name, ", ".join(sorted(services))))
    new_resource(name, resource_deps)


def k8s_yaml(yaml, allow_duplicates=False):
    must_be_local()
    for path in [yaml] if isinstance(yaml, str) else yaml:
        must_exist(path)
        kinds = r"^kind: (?:StatefulSet|Deployment|Job)$(?:.|\n)*?^metadata:\n(?:  .*\n)*?  name: (\S+)$"
        for document in open(here(path)).read().split("\n---\n"):
            workloads.update(re.findall(kinds, document, re.M))


def k8s_resource(workload="", new_name="", objects=None, port_forwards=None, resource_deps=None, labels=None, links=None,
                 trigger_mode=None, pod_readiness=""):
    if workload and workload not in workloads:
        raise ValueError("no workload %s; there are: %s" % (workload, ", ".join(sorted(workloads))))
    new_resource(new_name or workload, resource_deps)


def local_resource(name, cmd="", deps=None, trigger_mode=None, resource_deps=None, ignore=None, auto_init=True, serve_cmd="",
                   allow_parallel=False, links=None, labels=None, env=None, readiness_probe=None, dir=None, serve_dir=None):
    new_resource(name, resource_deps)


def define_bool(name, args=False, usage=""): flags[name] = False


def parse():
    for argument in ARGUMENTS:
        if argument.lstrip("-") not in flags:
            raise ValueError("unknown flag: " + argument)
        flags[argument.lstrip("-")] = True
    return {name: True for name, given in flags.items() if given}


STUBS = [analytics_settings, ci_settings, allow_k8s_contexts, docker_build, docker_compose, dc_resource, k8s_yaml,
         k8s_resource, local_resource]
PRELUDE = """
config = struct(define_bool = _define_bool, parse = _parse)
TRIGGER_MODE_AUTO = 0
TRIGGER_MODE_MANUAL = 1
"""
GLOBALS = starlark.Globals.extended_by([starlark.LibraryExtension.StructType, starlark.LibraryExtension.Print])
DIALECT = starlark.Dialect.extended()
loaded = {}


def run(path):
    module = starlark.Module()
    for stub in STUBS:
        module.add_callable(stub.__name__, record(stub))
    for name, function in [("link", link), ("k8s_context", k8s_context), ("_define_bool", define_bool), ("_parse", parse)]:
        module.add_callable(name, function)
    starlark.eval(module, starlark.parse("prelude", PRELUDE, DIALECT), GLOBALS)

    def load(name):
        if name.startswith("ext://"):
            raise ValueError("an extension wants git over the network: " + name)
        other = os.path.normpath(os.path.join(os.path.dirname(path), name))
        if other not in loaded:
            loaded[other] = run(other).freeze()
        return loaded[other]

    starlark.eval(module, starlark.parse(path, open(path).read(), DIALECT), GLOBALS, starlark.FileLoader(load))
    return module


run(TILTFILE)
# Services that the Tiltfile does not name are resources all the same.
known = set(resources) | services
for name, deps in resources.items():
    unknown = sorted(set(deps) - known)
    if unknown:
        raise ValueError("%s waits for nobody's name: %s" % (name, ", ".join(unknown)))
json.dump(calls, sys.stdout)
