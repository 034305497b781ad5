"""The command lines of package managers: their verbs, and which of their options take a value.

The option tables follow each program's own ``--help``; an option that is in neither table makes a reading unsure.
"""

from __future__ import annotations

from typing import Final

from dockfix.records import record
from dockfix.syntax.patterns import pattern


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@record
class Manager:
    """One package manager.

    ``verbs`` are subcommands of one or two words. ``values`` are options that take a value, which may be the next
    word; ``flags`` are those that never do. ``requirements``, ``constraints`` and ``editable`` name the options whose
    values are such. ``directory`` are options that say where the project is. ``manifests`` are the files that it
    reads when no package is named. ``bare`` tells that the program alone, without a verb, installs.
    """

    name: str
    verbs: frozenset[str]
    values: frozenset[str]
    flags: frozenset[str]
    manifests: tuple[str, ...] = ()
    requirements: frozenset[str] = frozenset()
    constraints: frozenset[str] = frozenset()
    editable: frozenset[str] = frozenset()
    directory: frozenset[str] = frozenset()
    bare: bool = False
    paths: bool = False
    """Whether an operand may be a path."""
    always: bool = False
    """Whether the manifests are read with operands as well (``uv add x`` resolves the whole project)."""
    single_dash: bool = False
    """Whether long options have one dash (Go)."""


_PIP_VALUES: Final = _words(
    "-r --requirement -c --constraint -e --editable -t --target -i --index-url --extra-index-url -f --find-links "
    "--platform --python-version --implementation --abi --root --prefix --src --upgrade-strategy --global-option "
    "--config-settings -C --no-binary --only-binary --progress-bar --root-user-action --report --group --log "
    "--proxy --retries --timeout --exists-action --trusted-host --cert --client-cert --cache-dir --use-feature "
    "--use-deprecated --python --keyring-provider --install-option --build -b --build-option --build-constraint "
    "--uploaded-prior-to --resume-retries --default-timeout --log-file --local-log"
)
_PIP_FLAGS: Final = _words(
    "--no-deps --pre --dry-run --user -U --upgrade --force-reinstall -I --ignore-installed --ignore-requires-python "
    "--no-build-isolation --use-pep517 --no-use-pep517 --check-build-dependencies --break-system-packages --compile "
    "--no-compile --no-warn-script-location --no-warn-conflicts --prefer-binary --require-hashes --no-clean "
    "--no-index -h --help --debug --isolated --require-virtualenv -v --verbose -V --version -q --quiet --no-input "
    "--no-cache-dir --disable-pip-version-check --no-color --no-python-version-warning --process-dependency-links "
    "--egg --no-use-wheel --use-wheel --no-cache --disable-pip-version-check --no-python-version-warning"
)
_UV_VALUES: Final = _words(
    "--index --default-index -i --index-url --extra-index-url -f --find-links --index-strategy --keyring-provider "
    "-P --upgrade-package --resolution --prerelease --fork-strategy -C --config-setting --config-settings "
    "--config-settings-package --no-build-isolation-package --exclude-newer --exclude-newer-package --link-mode "
    "--reinstall-package --refresh-package --no-build-package --no-binary-package --cache-dir -p --python --color "
    "--allow-insecure-host --directory --project --config-file --python-preference --python-fetch --preview-features "
    "--no-sources-package"
)
_UV_FLAGS: Final = _words(
    "--no-index -U --upgrade --pre --no-build-isolation --no-sources --reinstall --force-reinstall --refresh "
    "--no-build --no-binary --compile-bytecode --compile -n --no-cache --no-cache-dir --managed-python "
    "--no-managed-python --no-python-downloads -q --quiet -v --verbose --native-tls --system-certs --offline "
    "--no-progress --no-config -h --help --preview --no-preview --dry-run --allow-python-downloads --no-upgrade"
)
_UV_PROJECT_VALUES: Final = _words(
    "--extra --no-extra --group --no-group --only-group --no-install-package --package --python-platform --bounds "
    "-c --constraints --constraint -r --requirements --requirement -m --marker --optional --tag --branch --rev "
    "--script --with --with-editable --with-requirements --overrides"
)
_UV_PROJECT_FLAGS: Final = _words(
    "--all-extras --no-dev --only-dev --dev --all-groups --no-default-groups --no-editable --inexact --exact --active "
    "--no-active --no-install-project --no-install-workspace --no-install-local --locked --frozen --all-packages "
    "--check --editable --raw --raw-sources --no-sync --workspace --no-workspace --lfs --force "
    "--no-frozen --no-locked"
)
_SYSTEM_FLAGS: Final = _words("-y --yes --assume-yes -q -qq --quiet -v --verbose -h --help")

PIP: Final = Manager(
    "pip",
    _words("install"),
    _PIP_VALUES,
    _PIP_FLAGS,
    requirements=_words("-r --requirement"),
    constraints=_words("-c --constraint"),
    editable=_words("-e --editable"),
    paths=True,
)
UV_PIP: Final = Manager(
    "uv-pip",
    _words("install sync"),
    _UV_VALUES
    | _words(
        "-r --requirements --requirement -e --editable -c --constraints --constraint -b --build-constraints "
        "--build-constraint --override --overrides --exclude --excludes --extra --group -t --target --prefix "
        "--python-version --python-platform --no-binary --only-binary --no-build-package --torch-backend"
    ),
    (
        _UV_FLAGS
        | _words(
            "--system --break-system-packages --no-break-system-packages --no-deps --require-hashes --verify-hashes "
            "--no-verify-hashes --all-extras --exact --strict --no-strict --user --only-deps --no-system "
            "--allow-empty-requirements --disable-pip-version-check --no-compile"
        )
    )
    - {"--no-binary"},
    requirements=_words("-r --requirements --requirement"),
    constraints=_words("-c --constraints --constraint"),
    editable=_words("-e --editable"),
    directory=_words("--directory"),
    paths=True,
)
_UV_SYNC: Final = Manager(
    "uv-sync",
    _words("sync add"),
    _UV_VALUES | _UV_PROJECT_VALUES,
    _UV_FLAGS | _UV_PROJECT_FLAGS,
    ("pyproject.toml", "uv.lock"),
    requirements=_words("-r --requirements --requirement"),
    constraints=_words("-c --constraints --constraint"),
    directory=_words("--directory --project"),
    paths=True,
    always=True,
)
_UV_TOOL: Final = Manager(
    "uv-tool", _words("install"), _UV_VALUES | _UV_PROJECT_VALUES | {"-w"}, _UV_FLAGS | _UV_PROJECT_FLAGS, paths=True
)
_POETRY: Final = Manager(
    "poetry",
    _words("install sync add"),
    _words(
        "--without --with --only -E --extras --no-binary -C --directory -P --project --group -G --source "
        "--python --platform --markers"
    )
    - {"--no-binary"},
    _words(
        "--no-dev --dev -D --dev-only --sync --no-root --no-directory --dry-run --all-extras --all-groups --only-root "
        "--remove-untracked --compile -n --no-interaction -q --quiet -v -vv -vvv --verbose --ansi --no-ansi "
        "--no-plugins --no-cache -h --help -V --version --editable -e --optional --allow-prereleases --lock"
    ),
    ("pyproject.toml", "poetry.lock"),
    directory=_words("-C --directory -P --project"),
    paths=True,
    always=True,
)
_PIPENV: Final = Manager(
    "pipenv",
    _words("install sync"),
    _words("-r --requirements -e --editable -i --index --pypi-mirror --python --categories --extra-pip-args -c --code"),
    _words(
        "--system --deploy --ignore-pipfile --skip-lock --dev -d --pre --keep-outdated --sequential "
        "--selective-upgrade "
        "--verbose -v --quiet -q --clear --three --two --site-packages --no-site-packages --bare -h --help"
    ),
    ("Pipfile", "Pipfile.lock"),
    requirements=_words("-r --requirements"),
    editable=_words("-e --editable"),
    paths=True,
    always=True,
)
_PDM: Final = Manager(
    "pdm",
    _words("install sync add"),
    _words(
        "-p --project -L --lockfile -G --group --with --without -c --config -C --config-setting --venv -e --editable"
    ),
    _words(
        "--prod --production --dev -d --no-self --no-editable --no-lock --frozen-lockfile --check --no-isolation "
        "--clean "
        "--no-default -v -q --quiet -g --global --fail-fast -x -I --ignore-python -n --non-interactive --no-dev "
        "--reinstall --only-keep --dry-run"
    ),
    ("pyproject.toml", "pdm.lock"),
    directory=_words("-p --project"),
    editable=_words("-e --editable"),
    paths=True,
    always=True,
)
_CONDA: Final = Manager(
    "conda",
    frozenset({"install", "create", "update", "env create", "env update"}),
    _words(
        "-n --name -p --prefix -c --channel -f --file -r --root-prefix --solver --experimental --repodata-fn --subdir "
        "--platform --clone --rc-file --log-level --use-local-dir"
    ),
    _words(
        "-y --yes -q --quiet -v --verbose --override-channels --no-deps --only-deps --freeze-installed "
        "--no-update-deps "
        "--update-deps --update-all --all -S --copy --offline --json -d --dry-run --download-only --prune "
        "--no-channel-priority --strict-channel-priority --force-reinstall --force --no-pin --no-default-packages "
        "--insecure -k --no-rc --no-env --no-py-pin --always-copy --use-local -C --use-index-cache --dev "
        "--no-pyc --relocate-prefix --clobber --allow-softlinks --no-allow-softlinks --mkdir"
    ),
    requirements=_words("-f --file"),
)
_APT: Final = Manager(
    "apt",
    _words("install"),
    _words(
        "-t --target-release --default-release -o --option -c --config-file -a --host-architecture -P --build-profiles "
        "-w --width -F -S --planner --solver"
    ),
    _SYSTEM_FLAGS
    | _words(
        "--no-install-recommends --install-recommends --no-install-suggests --install-suggests --allow-downgrades "
        "--allow-unauthenticated --allow-change-held-packages --allow-remove-essential --force-yes --fix-missing -m "
        "--ignore-missing -f --fix-broken --no-upgrade --only-upgrade --reinstall -d --download-only -s --simulate "
        "--dry-run -u --show-upgraded -V --verbose-versions --purge --auto-remove --autoremove --no-remove "
        "--trivial-only -R --without-recommends --with-recommends -r --no-show-upgraded --assume-no --no-download "
        "--ignore-hold --show-progress --update --no-install-recommend"
    ),
    paths=True,
)
_APK: Final = Manager(
    "apk",
    _words("add"),
    _words(
        "-t --virtual -p --root -X --repository --keys-dir --repositories-file --wait --arch --cache-dir "
        "--cache-max-age --timeout --progress-fd"
    ),
    _SYSTEM_FLAGS
    | _words(
        "--no-cache -U --update-cache --update -u --upgrade -l --latest --no-progress --progress --no-scripts "
        "--allow-untrusted --initdb --clean-protected -f --force --force-overwrite --force-broken-world "
        "--force-refresh "
        "--force-old-apk --force-non-repository --force-binary-stdout --force-missing-repositories -i --interactive "
        "--no-interactive --no-network --no-chown --no-commit-hooks --no-logfile --overlay-from-stdin -s --simulate "
        "--purge --print-arch --cache-predownload --usermode"
    ),
    paths=True,
)
_YUM: Final = Manager(
    "yum",
    _words("install localinstall groupinstall reinstall"),
    _words(
        "-c --config -x --exclude --excludepkgs --enablerepo --disablerepo --repo --repoid --releasever --installroot "
        "--setopt -d --debuglevel -e --errorlevel -R --randomwait --disableplugin --enableplugin --color "
        "--rpmverbosity "
        "--advisory --forcearch --comment --repofrompath --downloaddir --destdir --disableexcludes --disableexcludepkgs"
    ),
    _SYSTEM_FLAGS
    | _words(
        "--nogpgcheck --skip-broken --nobest --best --allowerasing --nodocs --noplugins -C --cacheonly --refresh "
        "--downloadonly --obsoletes -4 -6 --assumeno --nodeps --noautoremove -b --security --bugfix --enhancement "
        "-t --tolerant --skip-unavailable --no-gpgchecks --noweak --allowdowngrade --use-host-config"
    ),
    paths=True,
)
_NODE_VALUES: Final = _words(
    "--prefix -C --dir --cwd --registry --loglevel --cache --omit --include --only --userconfig -w --workspace --tag "
    "--script-shell --fetch-retries --fetch-timeout --fetch-retry-mintimeout --fetch-retry-maxtimeout "
    "--network-timeout --network-concurrency --mutex --cache-folder --modules-folder --install-strategy --maxsockets "
    "--store-dir --filter -F --filter-prod --reporter --use-yarnrc --preferred-cache-folder --link-folder "
    "--global-folder --mode --inline-builds-dir --child-concurrency --os --cpu --libc --node-linker --virtual-store-dir"
)
_NODE_FLAGS: Final = _words(
    "-g --global --production --prod -P --dev -D -d --save --save-dev --save-prod --save-exact --save-optional "
    "--no-save -S -E -O -B --no-optional --no-audit --no-fund --no-progress --progress --unsafe-perm --ignore-scripts "
    "--legacy-peer-deps --force -f --silent -s -q --quiet --verbose --prefer-offline --offline --frozen-lockfile "
    "--no-frozen-lockfile --pure-lockfile --no-lockfile --no-package-lock --package-lock-only --immutable "
    "--immutable-cache --check-cache --inline-builds --check-files --non-interactive --ignore-engines "
    "--ignore-platform --ignore-optional --link-duplicates --flat --har --focus --no-bin-links --workspaces "
    "--workspace-root --include-workspace-root --no-shrinkwrap --strict-peer-deps --no-strict-peer-dependencies "
    "--shamefully-hoist --recursive -r --aggregate-output --fix-lockfile --lockfile-only --no-color --color -y --yes "
    "--allow-root --location --foreground-scripts --dry-run --no-verify --audit --json --no-node-version-check "
    "--disable-pnp --dedupe --no-dedupe --install-links --skip-integrity-check --update-checksums --no-emoji "
    "--no-default-rc --prefer-frozen-lockfile --engine-strict --trust-lockfile -i --latest"
)
_NPM: Final = Manager(
    "npm",
    _words("ci install i add clean-install isntall in ins inst install-clean"),
    _NODE_VALUES,
    _NODE_FLAGS,
    ("package.json", "package-lock.json"),
    directory=_words("--prefix -C"),
    paths=True,
)
_YARN: Final = Manager(
    "yarn",
    frozenset({"install", "add", "global add"}),
    _NODE_VALUES,
    _NODE_FLAGS,
    ("package.json", "yarn.lock"),
    directory=_words("--cwd"),
    bare=True,
    paths=True,
)
_PNPM: Final = Manager(
    "pnpm",
    _words("install i add fetch ci"),
    _NODE_VALUES,
    _NODE_FLAGS,
    ("package.json", "pnpm-lock.yaml"),
    directory=_words("--prefix -C --dir"),
    paths=True,
)
_GEM: Final = Manager(
    "gem",
    _words("install i"),
    _words(
        "-v --version -i --install-dir -n --bindir -s --source -P --trust-policy -g --file --platform --without "
        "--build-root -p --http-proxy --document -t --config-file -B --bulk-threshold"
    )
    - {"-t"},
    _words(
        "-N --no-document --no-ri --no-rdoc --conservative --force -f --user-install --no-user-install --pre "
        "--prerelease --minimal-deps --local -l --remote -r -b --both --clear-sources --quiet -q --silent --verbose -V "
        "--default --ignore-dependencies -E --env-shebang -w --wrappers --no-wrappers --development --backtrace --debug"
    ),
    paths=True,
)
_BUNDLE: Final = Manager(
    "bundle",
    _words("install"),
    _words(
        "-j --jobs --gemfile --path --without --with --retry -r --binstubs --trust-policy --target-rbconfig --shebang"
    )
    - {"--binstubs"},
    _words(
        "--deployment --frozen --system --no-cache --local --quiet --verbose --full-index --clean --no-prune --force "
        "--redownload --standalone --prefer-local --no-color -V --binstubs --no-deployment"
    ),
    ("Gemfile", "Gemfile.lock"),
    bare=True,
    always=True,
)
_GO: Final = Manager(
    "go",
    frozenset({"mod download", "get", "install"}),
    _words(
        "-C -ldflags -gcflags -asmflags -tags -o -p -mod -modfile -overlay -pkgdir -toolexec -installsuffix "
        "-compiler -buildmode -pgo"
    ),
    _words("-x -v -u -d -t -f -a -n -race -trimpath -json -insecure -work -modcacherw -linkshared -i"),
    ("go.mod", "go.sum"),
    directory=_words("-C"),
    paths=True,
    always=True,
    single_dash=True,
)
_COMPOSER: Final = Manager(
    "composer",
    _words("install i require update") | {"global require"},
    _words("-d --working-dir --prefer-install --ignore-platform-req --apcu-autoloader-prefix"),
    _words(
        "--prefer-source --prefer-dist --dry-run --download-only --dev --no-dev --no-suggest --no-autoloader "
        "--no-progress --no-install -v -vv -vvv --verbose -o --optimize-autoloader -a --classmap-authoritative "
        "--apcu-autoloader --ignore-platform-reqs --no-scripts --no-plugins -n --no-interaction -q --quiet --ansi "
        "--no-ansi --no-cache --profile --audit --no-audit --no-security-blocking --with-all-dependencies -W "
        "--no-update"
    ),
    ("composer.json", "composer.lock"),
    directory=_words("-d --working-dir"),
    always=True,
)

PROGRAMS: Final[dict[str, Manager]] = {
    "pip": PIP,
    "poetry": _POETRY,
    "pipenv": _PIPENV,
    "pdm": _PDM,
    "uv": _UV_SYNC,
    "uv pip": UV_PIP,
    "uv tool": _UV_TOOL,
    **dict.fromkeys(("conda", "mamba", "micromamba"), _CONDA),
    **dict.fromkeys(("apt", "apt-get", "aptitude"), _APT),
    "apk": _APK,
    **dict.fromkeys(("yum", "dnf", "microdnf", "tdnf"), _YUM),
    "npm": _NPM,
    **dict.fromkeys(("yarn", "yarnpkg"), _YARN),
    "pnpm": _PNPM,
    "gem": _GEM,
    **dict.fromkeys(("bundle", "bundler"), _BUNDLE),
    "go": _GO,
    **dict.fromkeys(("composer", "composer.phar"), _COMPOSER),
}
PIP_PROGRAM: Final = pattern(r"pip\d*(?:\.\d+)*\Z")
PYTHON_PROGRAM: Final = pattern(r"(?:python|pypy)\d*(?:\.\d+)*t?\Z")
PYTHON_MODULES: Final = frozenset({"pip", "poetry", "pipenv", "pdm", "uv"})
PREFIXES: Final[dict[str, frozenset[str]]] = {
    "env": _words("-u --unset -C --chdir -S"),
    "sudo": _words("-u --user -g --group -h --host -p --prompt -C -T -D -R"),
    "exec": _words("-a"),
    "command": frozenset(),
    "nohup": frozenset(),
    "eatmydata": frozenset(),
    "time": _words("-o -f"),
    "nice": _words("-n --adjustment"),
    "conda run": _words("-n --name -p --prefix --cwd"),
    "mamba run": _words("-n --name -p --prefix --cwd"),
    "micromamba run": _words("-n --name -p --prefix -r --root-prefix --cwd"),
    "poetry run": frozenset(),
    "pipenv run": frozenset(),
    "corepack": frozenset(),
}
"""Commands that run the command behind them, with their options that take a value."""
