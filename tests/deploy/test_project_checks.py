from ragkit.deploy.project_checks import ROLES, SERVICES, check_project


def test_missing_apis_and_roles_come_with_the_command_that_grants_them(cloud):
    member = "serviceAccount:fn@acme.iam"
    cloud.write(services=list(SERVICES[1:]), bindings=[{"role": ROLES[0], "members": [member]}])
    checks = check_project("acme", "fn@acme.iam")
    missing = {check.name: check.fix for check in checks if not check.passed}
    assert missing == {
        "API aiplatform.googleapis.com":
            "gcloud services enable aiplatform.googleapis.com --project=acme",
        **{
            f"{role} of the function's account":
                f"gcloud projects add-iam-policy-binding acme --member={member} --role={role}"
            for role in ROLES[1:]
        },
    }  # fmt: skip


def test_checks_without_gcloud_are_not_passed_and_not_failed(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    (check,) = check_project("acme", "fn@acme.iam")
    assert check.passed is None
    assert "gcloud is not installed" in check.observed
