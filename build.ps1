# Thin wrappers of the commands that the README and CI use.
#   ./build.ps1 Build | Test | Bench | Pack | Format | Publish   [-Configuration Release]
[CmdletBinding()]
param(
    [Parameter(Position = 0)]
    [ValidateSet('Build', 'Test', 'Bench', 'Pack', 'Format', 'Publish')]
    [string] $Target = 'Build',

    [ValidateSet('Debug', 'Release')]
    [string] $Configuration = 'Release'
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$solution = [System.IO.Path]::Combine($PSScriptRoot, 'MoeKernels.sln')
$cli = [System.IO.Path]::Combine($PSScriptRoot, 'src', 'MoeKernels.Cli')
$bench = [System.IO.Path]::Combine($PSScriptRoot, 'bench', 'MoeKernels.Benchmarks')
$artifacts = [System.IO.Path]::Combine($PSScriptRoot, 'artifacts')

function Invoke-Dotnet {
    & dotnet @args
    if ($LASTEXITCODE -ne 0) {
        throw "dotnet $args ended with exit code $LASTEXITCODE."
    }
}

switch ($Target) {
    'Build' { Invoke-Dotnet build $solution -c $Configuration }
    'Test' { Invoke-Dotnet test --solution $solution -c $Configuration }
    'Bench' { Invoke-Dotnet run --project $bench -c Release }
    'Pack' { Invoke-Dotnet pack $solution -c $Configuration -o $artifacts }
    'Format' { Invoke-Dotnet format $solution --verify-no-changes }
    'Publish' { Invoke-Dotnet publish $cli -c $Configuration -r linux-x64 -p:PublishAot=true -p:NuGetLockFilePath=obj/publish.lock.json -o ([System.IO.Path]::Combine($artifacts, 'aot')) }
}
